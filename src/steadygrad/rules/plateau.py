"""Whether a net that has learned little after a hundred steps on fresh batches is on its way, or stands on a plateau.

Of 950 calibration rows 30 fail that have learned ``LITTLE`` or more after a hundred steps, and 10 train that have not; with
the 95 that are taken on (``UNSETTLED``, ``FAR``) judged after three hundred it is 25 and 9. Those that train go on learning; in
most that fail, what was learned stays where it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest
from steadygrad.rules import thresholds
from steadygrad.rules.read_steptest import from_far, informed_fall

FEW, WELL_BEGUN = (3, 5, 7), 0.02
"""Steps on fresh batches that are enough where so much was learned in them and nothing is wrong. Of 543 calibration rows 134
of 255 that train have learned so much after three or five, and one of 210 that fail; ten steps or more say the same of each."""

LONGER = 300
"""Steps that are taken in all where a hundred leave it open, in two halves."""

LITTLE = 0.015
"""Learned in a hundred steps, under which nothing is said to be learned."""

UNSETTLED, SETTLED = 0.002, 0.13
"""Learned after a hundred steps, from and up to which more are taken."""

FAR, NEARER = 1.1, 0.5
"""So are they where the loss began at so many times that of the mean answer, and has left so little of what it lies above it."""

SEEN = 9600
"""Samples that a net has seen by then, at least, that is said never to begin: none of the calibration rows that fail takes fewer
than 32 at a step, and of 16 that do none fails."""

LEARNED_LONG = 0.12
"""Learned after all of them, from which a net is on its way."""
GROWN, SOMETHING = 3.0, 0.005
"""It is also where what was learned in a hundred steps, if that was something, has grown so many times."""

ENOUGH = 0.2
"""Learned, at which the second half is not taken."""


LASTING = frozenset(["SG101", "SG102", "SG103", "SG104", "SG105", "SG106", "SG107", "SG301"])
"""Errors that ten steps on fresh batches show as well as a hundred. Of 500 calibration rows 109 had one after ten steps; all
fail, and all still had an error after a hundred. Of SG201, SG204, SG303, SG304 and SG305 9 of 38 outgrow it; of the rest there
are fewer than five rows each."""


def well_begun(trial: StepTest) -> bool:
    """Whether so much was learned of fresh batches in a few steps that further ones would change nothing."""
    begun = trial.unseen is not None and not trial.diverged and trial.fall > 0 and informed_fall(trial) >= WELL_BEGUN
    return begun and not from_far(trial)


def lasts(found: Iterable[Finding]) -> bool:
    """Whether more steps would change nothing of a verdict with these findings."""
    return any(one.severity is Severity.ERROR and one.code in LASTING for one in found)


def in_doubt(found: Iterable[Finding], trial: StepTest) -> bool:
    """Whether the verdict hangs on what further steps bring: nothing is wrong but that little was learned, or a squash too many
    stands in front of the loss, which some nets learn through."""
    if trial.unseen is None or trial.diverged or trial.steps >= LONGER:
        return False
    told = [one for one in found if one.severity is not Severity.INFO]
    if trial.steps == thresholds.MOST_STEPS and told:
        return all(one.code == "SG109" and one.severity is Severity.WARNING for one in told)
    return [one.code for one in told] == ["SG303"] and told[0].severity is Severity.WARNING


def unsettled(trial: StepTest) -> bool:
    """Whether a hundred steps, or what was taken beyond them, leave it open."""
    if trial.unseen is None or trial.unseen.learned is None or trial.diverged or trial.steps >= LONGER:
        return False
    if trial.hundred is not None:
        return informed_fall(trial) < ENOUGH
    return trial.steps == thresholds.MOST_STEPS and (UNSETTLED <= informed_fall(trial) < SETTLED or comes_down(trial))


def comes_down(trial: StepTest | None) -> bool:
    """Whether the answers began far worse than their mean and are on the way there, as where outputs begin too large."""
    unseen = trial.unseen if trial is not None else None
    if unseen is None or unseen.constant is None or not unseen.before > FAR * unseen.constant > 0:
        return False
    return 0 < unseen.after - unseen.constant < NEARER * (unseen.before - unseen.constant)


def came_late(trial: StepTest | None) -> bool:
    """Whether a hundred steps on fresh batches went by before the loss had come down to that of the mean answer."""
    return trial is not None and trial.hundred is not None and comes_down(trial.hundred)


def never_begins(trial: StepTest, samples: int | None) -> bool:
    """Whether next to nothing is learned even after three hundred steps, and the loss does not come down from far above.

    All 9 calibration rows of which that is so fail; of 26 whose loss comes down so one trains. ``samples``: of a batch.
    """
    long = trial.hundred is not None and trial.steps >= LONGER and (samples is None or trial.steps * samples >= SEEN)
    return long and not comes_down(trial) and informed_fall(trial) < SOMETHING


def hardly_learns(trial: StepTest) -> bool:
    """Whether next to nothing was learned from the input, or what was learned has come to a stand."""
    if trial.unseen is None or trial.unseen.learned is None or trial.diverged or trial.steps < thresholds.MOST_STEPS:
        return False
    if trial.hundred is None:
        return informed_fall(trial) < LITTLE
    begun = informed_fall(trial.hundred)
    return informed_fall(trial) < (min(LEARNED_LONG, GROWN * begun) if begun >= SOMETHING else LEARNED_LONG)
