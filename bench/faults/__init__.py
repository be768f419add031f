"""Faults put into real training runs, and healthy runs beside them: what the guard says of each.

``python -m bench.faults [NAME ...]`` prints every fault under every policy; ``--healthy`` the runs that must stay quiet;
``--distributions`` the quantities behind the policy's thresholds, on both. ``sick.py`` has the faults that a script can have,
``outside.py`` those that come from around it (processes, disk, memory), ``healthy.py`` the healthy runs.
"""
