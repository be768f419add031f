"""Healthy runs of many kinds: all of them learn, and none has anything that is worth an alarm.

Each is a function of what watches it, a seed, and a factor on its usual learning rate; it gives the losses. One file a
theme; ``quiet.py`` asks the guard about them, and whether each one learns.
"""

from bench.faults.healthy.quiet import FACTORS, RUNS, SEEDS, alarms_of, jobs_of, show, show_trains

__all__ = ["FACTORS", "RUNS", "SEEDS", "alarms_of", "jobs_of", "show", "show_trains"]
