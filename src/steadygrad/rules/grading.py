"""What several rules ask of a record: did it learn, how much of the trunk's loss does a cause bear, which line is first.

Every threshold here and in the rules is what ``bench/calibrate.py`` chooses on the calibration part of the truth table. The
distributions told beside some, of the earlier ``bench/suite``, are what ``bench/thresholds.py`` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum

from steadygrad.record import Operation, Severity, Step, StepTest, Trace
from steadygrad.record.steptest import SecondLook

STEPS, MOST_STEPS = 10, 100
"""Of a step test, where they tell, and where they do not."""

# Fall of the loss less that of the best constant change of the answer, after ten steps and (LATE) after a hundred. Of 882
# calibration rows 2 of 471 that train have learned less than 0.02 after a hundred steps, 321 of 411 that fail.
LEARNED = 0.005
LEARNED_LATE = 0.4
STALLED = 0.002
STALLED_LATE = 0.02

# The same on fresh batches: 1 − loss ÷ loss of the mean answer, on batches that were never trained on. It takes a hundred
# steps where it is open: after a hundred this number alone tells 99 of 100 rows that train from 93 of 100 that fail.
FRESH_LEARNED = 0.01
FRESH_LEARNED_LATE = 0.04
FRESH_LEARNED_LONG = 0.12
FRESH_STALLED = 0.001
FRESH_STALLED_LATE = 0.03
FRESH_OPEN = 0.04
FRESH_RECOVERED = 0.3

# What of it may be chance on the few unseen samples there are. Of 1,017 calibration rows on fresh batches 13 are missed and 17
# that train warned without it, 10 and 18 with 0.1 or 0.15, 9 and 18 from 0.2 on; the more is taken off, the longer a model that
# has been trained before is taken for one that learns nothing.
CHANCE = 0.2

# Learned in ten steps, under which a hundred are taken: by 118 of the same 471 rows, and by 370 of the 411.
OPEN = 0.02

# Greatest rise of the loss in one of the first ten steps ÷ the first loss. Of the same rows 11 that train leapt so, and all
# have lost nine tenths of the loss after a hundred steps; 59 that fail did, and 4 have.
LEAP = 0.4
BOUNCED = 1
RECOVERED = 0.7
ASTRAY = 300

# bench/thresholds.py, growth of the output's spread in ten steps where it begins below 1e-7. Set-ups that train: 17-fold or
# more, ending at 4e-12 or more. Sick ones: at most 9-fold or ending at 1e-14, but for one of 39.
SPREAD_FLOOR = 3e-12
SPREAD_GROWTH = 30


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
    if trial.output_spread_after is not None and trial.output_spread_after < SPREAD_FLOOR:
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
    return min(max(0.0, before), CHANCE)


def progress(trial: StepTest | None) -> Progress:
    """What the step test says."""
    if trial is None:
        return Progress.UNKNOWN
    learned = informed_fall(trial)
    if trial.diverged or trial.fall < -0.1 or (trial.first.greatest_rise > BOUNCED and not recovered(trial)):
        return Progress.BOUNCES
    fresh = trial.unseen is not None
    enough = _enough(trial) if fresh else _after(trial.steps, LEARNED, LEARNED_LATE)
    little = (FRESH_STALLED, FRESH_STALLED_LATE) if fresh else (STALLED, STALLED_LATE)
    if learned >= enough:
        return Progress.LEARNS
    return Progress.STALLED if learned < _after(trial.steps, *little) else Progress.SLOW


def at_first(trial: StepTest | None) -> Progress:
    """What the first ten steps say, however it went on: a batch seen a hundred times is learned by heart."""
    return progress(trial.first) if trial is not None else Progress.UNKNOWN


def _enough(trial: StepTest) -> float:
    """What a net has learned of fresh batches that is on its way; three times as many steps shall bring three times as much."""
    beyond = min(1.0, max(0, trial.steps - MOST_STEPS) / (2 * MOST_STEPS))
    return _after(trial.steps, FRESH_LEARNED, FRESH_LEARNED_LATE) + (FRESH_LEARNED_LONG - FRESH_LEARNED_LATE) * beyond


def _after(steps: int, first: float, late: float) -> float:
    """A mark between those after ``STEPS`` and ``MOST_STEPS`` steps, on a line in logarithms; outside, the nearer one."""
    share = math.log(max(steps, 1) / STEPS) / math.log(MOST_STEPS / STEPS)
    return float(first * (late / first) ** min(1.0, max(0.0, share)))


# bench/thresholds.py, decades lost by the model on the trunk, the loss function's own left out. 212 set-ups that train:
# 95 % lose at most 2.7, the greatest (default initialisation at a depth just borne) 10.2. Sick: median 9 (SG101, 102), 12
# (SG301).
DECADES_AT_RISK = 4
DECADES_LOST = 5.5
DECADES_STALLED = 3
"""Enough for a warning where the step test stood still and the samples come no further apart."""

# bench/near_miss.py, plain nets at default initialisation under Adam: of those whose output has a spread of 5e-14 or more,
# all 28 learned something in 600 steps (0.13 or more), with up to 8.6 decades lost; of those below 1e-14 one of six did.
# float32 rounds amplitudes to 6e-8, energies to 4e-15.
ROUNDING = 2e-14
DECADES_DROWNED = 9.5
"""The same without a spread to look at (a batch of one)."""

# Update ratio of the slowest matrix in one step. A scale-free optimizer moves it by about its rate, 1e-5 and more; SGD on a
# gradient six decades smaller than the last layer's by less than this, a million steps for a change of its own size.
CRAWL = 1e-6


# bench/thresholds.py, size of weight decay's part of the first update ÷ size of the gradient's part. 212 set-ups that train:
# at most 0.053; two that decay outweighs: 5.9 and 141.
DECAY = 1.0
DECAY_ALONE = 1.5


def left_open(trial: StepTest) -> bool:
    """Whether the steps so far say little: hardly anything was learned, or the loss leapt up, which it may outgrow."""
    if trial.diverged or trial.steps >= MOST_STEPS:
        return False
    enough = OPEN if trial.unseen is None else max(FRESH_OPEN, FRESH_LEARNED_LATE)
    if trial.unseen is not None and trial.fall < 0:
        return True
    return informed_fall(trial) < enough or (trial.greatest_rise > LEAP and not recovered(trial))


def recovered(trial: StepTest) -> bool:
    """Whether nearly all of the loss is gone, however it leapt on the way."""
    enough = RECOVERED if trial.unseen is None else FRESH_RECOVERED
    back = trial.unseen is None or trial.fall > 0
    return informed_fall(trial) >= enough and trial.greatest_rise < ASTRAY and back


def outweighed(trial: StepTest) -> bool:
    """Whether weight decay pulls the weights harder than the gradient does: they shrink, whatever the loss says."""
    return trial.decay >= (DECAY_ALONE if progress(trial) is Progress.LEARNS else DECAY)


def lost(trace: Trace, trial: StepTest | None = None) -> float:
    """Decades the model loses along its trunk, the loss function's own share left out (positive = lost).

    A gradient of exactly zero that a gate held shut counts as it was after the step test had opened it.
    """
    if trace.trunk is None:
        return 0.0
    decades = sum(step.decades for step in body(trace))
    if decades == -math.inf and trial is not None and trial.second and trial.second.decades is not None:
        return -trial.second.decades
    if decades == -math.inf and trial is None and shut_by_design(trace):
        return 0.0
    return -decades


def shut_by_design(trace: Trace) -> bool:
    """Whether the gradient is zero because a weight is, as in a zero-initialised head: a step may open it."""
    zero = next((step for step in body(trace) if step.decades == -math.inf), None)
    operation = operation_of(trace, zero) if zero is not None else None
    if operation is None:
        return False
    norms = {parameter.name: parameter.norm for parameter in trace.parameters}
    return operation.kind == "linear" and norms.get(operation.weight, 1.0) == 0.0


def escapes(trace: Trace, trial: StepTest | None) -> bool:
    """Whether the spread of the output, however small, grows fast enough to save the net: slow to start, not lost."""
    if trial is None or trace.output_spread is None:
        return False
    return (trial.first.output_spread_after or 0.0) > max(SPREAD_FLOOR, SPREAD_GROWTH * trace.output_spread)


def drowned(trace: Trace) -> bool:
    """Whether what tells the samples apart is smaller than the rounding of what they share."""
    if trace.output_spread is None:
        return lost(trace) >= DECADES_DROWNED
    return trace.output_spread < ROUNDING


def crawls(trace: Trace) -> bool:
    """Whether some weight matrix hardly moves, because the optimizer's step follows the gradient's size."""
    moved = [
        p.update_ratio for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1 and p.optimized
    ]
    return bool(moved) and min(moved) < CRAWL


def rising(trace: Trace, trial: StepTest | None) -> bool:
    """Whether the samples come further apart while the loss still stands still: on a plateau, but on its way."""
    if trial is None or trace.output_spread is None:
        return False
    return (trial.first.output_spread_after or 0.0) > trace.output_spread


def vanishing(trace: Trace, trial: StepTest | None) -> Severity | None:
    """How bad the loss of gradient along the trunk is; None where there is none, or where the net learns all the same."""
    decades = lost(trace, trial)
    now = progress(trial)
    # Whoever stood still for more than a hundred steps has had the time to rise.
    stands = trial is not None and (trial.hundred is not None or not rising(trace, trial))
    least: float = DECADES_STALLED if now is Progress.STALLED and stands else DECADES_AT_RISK
    if now is Progress.UNKNOWN:
        least = DECADES_LOST  # Without a step test only what no optimizer bears.
    if decades < least or math.isnan(decades) or now is Progress.LEARNS:
        return None
    if escapes(trace, trial) and (now is not Progress.STALLED or trial is None or trial.hundred is None):
        return Severity.WARNING if decades >= DECADES_LOST else None
    hopeless = (
        decades >= DECADES_LOST
        and at_first(trial) is not Progress.SLOW
        and (decades == math.inf or drowned(trace) or crawls(trace))
    )
    return Severity.ERROR if hopeless else Severity.WARNING


# bench/thresholds.py, decades gained by the model on the trunk. 212 set-ups that train: at most 1.94. Sick by explosion
# (SG201): 3.3 to 35; by batch norm without skips (SG302): 5.1 to 8.6; through time (SG202): 15 and more.
DECADES_GAINED = 3
DECADES_AT_ONCE = 8.0
"""Gained by no set-up that trains: a warning even where the loss, which begins at millions, falls."""


def exploding(trace: Trace, trial: StepTest | None) -> Severity | None:
    """How bad the growth of the gradient along the trunk is; None where there is none, or where the net learns all the same."""
    gained = -lost(trace, trial)
    now = progress(trial)
    if math.isnan(gained) or gained < DECADES_GAINED:
        return None
    if now is Progress.LEARNS and (gained < DECADES_AT_ONCE or not _reaches_weights(trace)):
        return None
    return Severity.ERROR if now in (Progress.BOUNCES, Progress.STALLED, Progress.UNKNOWN) else Severity.WARNING


def _reaches_weights(trace: Trace) -> bool:
    """Whether some parameter gets a gradient that has grown: what grows on rows of zeros alone (padding) moves no weight."""
    first = body(trace)
    norms = [p.log10_gradient for p in trace.parameters if p.connected and not math.isnan(p.log10_gradient)]
    return not first or not norms or max(norms) >= first[0].log10_gradient + DECADES_GAINED


def body(trace: Trace) -> tuple[Step, ...]:
    """The trunk without the loss: what the model does to its gradient."""
    return () if trace.trunk is None else tuple(step for step in trace.trunk.steps if step.cause != "loss")


def operation_of(trace: Trace, step: Step) -> Operation | None:
    """The operation a step of the trunk belongs to."""
    return None if step.operation is None else trace.operations[step.operation]


def feeding(trace: Trace, operation: Operation) -> Operation | None:
    """The operation whose output it takes, past views; None where it takes an input."""
    while operation.parents:
        parent = trace.operations[operation.parents[0]]
        if parent.kind != "shape":
            return parent
        operation = parent
    return None


def taken_by(trace: Trace, wanted: Callable[[Operation], bool]) -> tuple[float, list[Step]]:
    """Decades that the steps of some operations take (negative = lost), and those steps in the order of the forward pass."""
    steps = [s for s in body(trace) if (operation := operation_of(trace, s)) is not None and wanted(operation)]
    return sum(step.decades for step in steps), sorted(steps, key=lambda step: step.operation or 0)


def main_place(steps: Sequence[Step]) -> list[Step]:
    """The steps at the expression that changes the gradient most, in the order of the forward pass.

    A loop's body counts as one expression however often it runs, so a stem that differs from it is not singled out.
    """
    places: dict[object, list[Step]] = {}
    for step in steps:
        places.setdefault(step.location or step.module, []).append(step)
    worst = max(places.values(), key=lambda at: abs(sum(step.decades for step in at)))
    return sorted(worst, key=lambda step: -1 if step.operation is None else step.operation)


def outcome(trial: StepTest | None) -> str:
    """What became of the loss, in words."""
    if trial is None:
        return ""
    if trial.diverged:
        return f"the loss stopped being finite within {trial.steps} steps"
    word = "fell" if trial.fall >= 0 else "rose"
    size = abs(trial.fall)
    words = (
        f"after {trial.steps} steps the loss {word} by {100 * size:.2g} %"
        if size < 10
        else (f"after {trial.steps} steps the loss {word} {size:.2g}-fold")
    )
    if trial.constant_fall is not None and trial.fall > 0.001 and informed_fall(trial) < 0.1 * trial.fall:
        words += ", none of it owed to the input"
    return words


def slowest(trace: Trace) -> str:
    """The first layer's parameter and how far the optimizer moves it, in words."""
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    if not moved:
        return ""
    least = min(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    return f"{least.name} moves by {least.update_ratio:.1g} of its size a step"


def died_after(trial: StepTest) -> str:
    """ "alive at the start, dead after 4 steps": how long there were gradients other than exactly zero."""
    alive = trial.steps - (trial.second.silent_steps if trial.second is not None else 0)
    return f"alive at the start, dead after {alive} step{'' if alive == 1 else 's'}"


def gone(trial: StepTest | None) -> SecondLook | None:
    """The second look, where every gradient has become exactly zero, and not because all is learned."""
    second = trial.second if trial is not None else None
    return second if trial is not None and second is not None and second.gone and not recovered(trial) else None
