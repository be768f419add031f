"""Runs a program of the user's as ``python`` would, and guards every optimizer that it makes.

``program`` finds the program, ``running`` runs it, ``arriving`` waits for a module, ``optimizers`` and ``losses`` see
what the program makes, ``models`` finds which module an optimizer trains, ``session`` guards and prints, ``children`` carries
all of it into the processes that the program starts. Nothing here imports torch: the program does, or nobody.
"""
