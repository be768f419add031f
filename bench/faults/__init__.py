"""Faults put into real training runs, and healthy runs beside them: what the guard says of each.

``python -m bench.faults [NAME ...]`` prints every fault and the shares that are named right; ``--order`` which sign is told as
the first, ``--rows`` which rows of a batch are told as bad, ``--healthy`` the runs that must stay quiet, ``--trains`` that they
learn, ``--distributions`` the quantities that thresholds bound, measured on them. ``fault.py`` says what a fault is; ``sick.py``,
``spikes.py``, ``losses.py``, ``updates.py`` and ``bookkeeping.py`` have those of a script, ``outside.py`` those that come from
around it (processes, disk, memory), ``healthy/`` the healthy runs.
"""
