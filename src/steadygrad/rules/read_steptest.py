"""What the step test says: whether the model learns, whether its loss leapt, and whether more steps would say more.

Reads the record of the step test alone; the trunk and the parameters are for ``read_trunk``.
"""

from __future__ import annotations

import math
from enum import Enum

from steadygrad.numerals import number, percent
from steadygrad.record import StepTest
from steadygrad.record.steptest import SecondLook
from steadygrad.rules import thresholds


class Progress(Enum):
    """What the step test says, read together with the constant answer."""

    LEARNS = "learns"
    SLOW = "slow"
    STALLED = "stalled"
    BOUNCES = "bounces"
    UNKNOWN = "unknown"


def informed_fall(trial: StepTest) -> float:
    """Relative fall of the loss that needed the input: learning the label frequencies counts as nothing.

    An answer that is the same for every input has learned nothing, however far the loss fell. On fresh batches it is what
    the unseen ones' loss is below that of the mean answer, where there is one.
    """
    if trial.diverged:
        return -math.inf
    if trial.unseen is not None and trial.unseen.learned is not None:
        return trial.unseen.learned - _by_chance(trial)
    if trial.output_spread_after is not None and trial.output_spread_after < thresholds.SPREAD_FLOOR:
        return min(0.0, trial.fall)
    if trial.constant_fall is None:
        return trial.fall
    return trial.fall - max(0.0, trial.constant_fall)


def _by_chance(trial: StepTest) -> float:
    """What the answers to the unseen batches were better than their mean before any step, where that may be chance.

    A few dozen samples fit outputs at random by some percent. What fits far better has been trained before.
    """
    if trial.unseen is None or trial.unseen.constant is None or trial.constant_fall is None:
        return 0.0
    constant = trial.unseen.constant + trial.constant_fall * abs(trial.unseen.before)
    before = 1 - trial.unseen.before / constant if constant > 0 else 0.0
    return min(max(0.0, before), thresholds.CHANCE)


def progress(trial: StepTest | None) -> Progress:
    """What the step test says."""
    if trial is None:
        return Progress.UNKNOWN
    learned = informed_fall(trial)
    if trial.diverged or trial.fall < -0.1 or (trial.first.greatest_rise > thresholds.BOUNCED and not recovered(trial)):
        return Progress.BOUNCES
    fresh = trial.unseen is not None
    enough = _enough(trial) if fresh else _after(trial.steps, thresholds.LEARNED, thresholds.LEARNED_LATE)
    little = (
        (thresholds.FRESH_STALLED, thresholds.FRESH_STALLED_LATE)
        if fresh
        else (thresholds.STALLED, thresholds.STALLED_LATE)
    )
    if learned >= enough:
        return Progress.LEARNS
    return Progress.STALLED if learned < _after(trial.steps, *little) else Progress.SLOW


def at_first(trial: StepTest | None) -> Progress:
    """What the first ten steps say, however it went on: a batch seen a hundred times is learned by heart."""
    return progress(trial.first) if trial is not None else Progress.UNKNOWN


def _enough(trial: StepTest) -> float:
    """What a net has learned of fresh batches that is on its way; three times as many steps shall bring three times as much."""
    beyond = min(1.0, max(0, trial.steps - thresholds.MOST_STEPS) / (2 * thresholds.MOST_STEPS))
    return (
        _after(trial.steps, thresholds.FRESH_LEARNED, thresholds.FRESH_LEARNED_LATE)
        + (thresholds.FRESH_LEARNED_LONG - thresholds.FRESH_LEARNED_LATE) * beyond
    )


def _after(steps: int, first: float, late: float) -> float:
    """A mark between those after ``STEPS`` and ``MOST_STEPS`` steps, on a line in logarithms; outside, the nearer one."""
    share = math.log(max(steps, 1) / thresholds.STEPS) / math.log(thresholds.MOST_STEPS / thresholds.STEPS)
    return float(first * (late / first) ** min(1.0, max(0.0, share)))


def left_open(trial: StepTest) -> bool:
    """Whether the steps so far say little: hardly anything was learned, or the loss leapt up, which it may outgrow."""
    if trial.diverged or trial.steps >= thresholds.MOST_STEPS:
        return False
    enough = thresholds.OPEN if trial.unseen is None else max(thresholds.FRESH_OPEN, thresholds.FRESH_LEARNED_LATE)
    if trial.unseen is not None and (trial.fall < 0 or from_far(trial)):
        return True
    return informed_fall(trial) < enough or (trial.greatest_rise > thresholds.LEAP and not recovered(trial))


def from_far(trial: StepTest) -> bool:
    """Whether the loss began so far above that of the mean answer that this answer too may still be a bad one.

    Outputs that begin far too large have a mean that is far too large: a loss below the mean's is then no sign of learning.
    """
    unseen = trial.unseen
    if unseen is None or unseen.constant is None or not unseen.before > thresholds.FAR_ABOVE * unseen.constant > 0:
        return False
    return informed_fall(trial) < thresholds.FRESH_RECOVERED


def recovered(trial: StepTest) -> bool:
    """Whether nearly all of the loss is gone, however it leapt on the way."""
    enough = thresholds.RECOVERED if trial.unseen is None else thresholds.FRESH_RECOVERED
    back = trial.unseen is None or trial.fall > 0
    return informed_fall(trial) >= enough and trial.greatest_rise < thresholds.ASTRAY and back


def outweighed(trial: StepTest) -> bool:
    """Whether weight decay pulls the weights harder than the gradient does: they shrink, whatever the loss says."""
    return trial.decay >= (thresholds.DECAY_ALONE if progress(trial) is Progress.LEARNS else thresholds.DECAY)


def gone(trial: StepTest | None) -> SecondLook | None:
    """The second look, where every gradient has become exactly zero, and not because all is learned."""
    if trial is None or trial.second is None or not trial.second.gone:
        return None
    learned = recovered(trial) or abs(trial.losses[-1]) <= thresholds.NOTHING_LEFT
    return None if learned else trial.second


def outcome(trial: StepTest | None) -> str:
    """What became of the loss, in words."""
    if trial is None:
        return ""
    if trial.diverged:
        return f"the loss stopped being finite within {trial.steps} steps"
    word = "fell" if trial.fall >= 0 else "rose"
    size = abs(trial.fall)
    words = (
        f"after {trial.steps} steps the loss {word} by {percent(size)}"
        if size < 10
        else (f"after {trial.steps} steps the loss {word} {number(size, 2)}-fold")
    )
    if trial.constant_fall is not None and trial.fall > 0.001 and informed_fall(trial) < 0.1 * trial.fall:
        words += ", no further than one constant answer"
    return words


def died_after(trial: StepTest) -> str:
    """ "alive at the start, dead after 4 steps": how long there were gradients other than exactly zero."""
    alive = trial.steps - (trial.second.silent_steps if trial.second is not None else 0)
    return f"alive at the start, dead after {alive} step{'' if alive == 1 else 's'}"
