"""Published architectures, built tiny from their libraries' own code, with batches from a ``DataLoader``: none of them is sick.

``language`` and ``vision`` of ``transformers``, ``pictures`` of ``timm``: tables of names. ``data`` has what they are fed with.
"""
