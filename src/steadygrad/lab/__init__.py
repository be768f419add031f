"""The lab: claims about vanishing and exploding gradients, each as a small experiment that anyone runs and looks at.

An experiment is a function with a decorator. Its docstring states the claim, its source, the measurement and what would
refute it; what it returns is an ``Outcome``: numbers with intervals, and a figure. ``steadygrad lab run my.py:function``
runs one of your own::

    from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading

    @experiment(quick={"nets": 50}, limits={"nets": (2, 10_000)})
    def halving(*, nets: int = 500) -> Outcome:
        \"\"\"What is claimed, in one line.\"\"\"

Importing this room, and listing what is in it, needs no torch; running an experiment does.
"""

from steadygrad.lab.catalog import HEADINGS, Experiment, experiment, find, load
from steadygrad.lab.intervals import mean_reading, share_reading, value_reading
from steadygrad.lab.outcome import Arrow, Box, Curve, Diagram, Outcome, Panel, Ran, Reading
from steadygrad.lab.running import run

__all__ = [
    "HEADINGS",
    "Arrow",
    "Box",
    "Curve",
    "Diagram",
    "Experiment",
    "Outcome",
    "Panel",
    "Ran",
    "Reading",
    "experiment",
    "find",
    "load",
    "mean_reading",
    "run",
    "share_reading",
    "value_reading",
]
