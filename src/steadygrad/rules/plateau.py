"""Whether a net that has learned little after a hundred steps on fresh batches is on its way, or stands on a plateau.

Of 1,017 calibration rows taken on to three hundred steps (see ``UNSETTLED``): those that train go on learning, in most of those
that fail the share that was learned stays where it was.
"""

from __future__ import annotations

from steadygrad.record import StepTest
from steadygrad.rules.grading import MOST_STEPS, informed_fall

LONGER = 300
"""Steps that are taken in all where a hundred leave it open, in two halves."""

LITTLE = 0.015
"""Learned in a hundred steps, under which nothing is said to be learned."""

UNSETTLED, SETTLED = 0.005, 0.13
"""Learned after a hundred steps, from and up to which more are taken."""

LEARNED_LONG = 0.12
GROWN = 2.5
"""Learned after all of them, or grown by so many times since the hundredth, from which a net is on its way."""

ENOUGH = 0.2
"""Learned, at which the second half is not taken."""


def unsettled(trial: StepTest) -> bool:
    """Whether a hundred steps, or what was taken beyond them, leave it open."""
    if trial.unseen is None or trial.unseen.learned is None or trial.diverged or trial.steps >= LONGER:
        return False
    if trial.hundred is not None:
        return informed_fall(trial) < ENOUGH
    return trial.steps == MOST_STEPS and UNSETTLED <= informed_fall(trial) < SETTLED


def hardly_learns(trial: StepTest) -> bool:
    """Whether next to nothing was learned from the input, or what was learned has come to a stand."""
    if trial.unseen is None or trial.unseen.learned is None or trial.diverged or trial.steps < MOST_STEPS:
        return False
    if trial.hundred is None:
        return informed_fall(trial) < LITTLE
    return informed_fall(trial) < min(LEARNED_LONG, GROWN * informed_fall(trial.hundred))
