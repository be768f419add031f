"""What the trunk says: its steps and their operations, the decades lost or gained along it, and how bad that is.

Reads the trace, and the step test where a loss of gradient counts only if the model does not learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from steadygrad.numerals import number
from steadygrad.record import Operation, Severity, Step, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.plateau import came_late
from steadygrad.rules.read_steptest import Progress, at_first, progress


def body(trace: Trace) -> tuple[Step, ...]:
    """The trunk without the loss: what the model does to its gradient."""
    return () if trace.trunk is None else tuple(step for step in trace.trunk.steps if step.cause != "loss")


def net_body(trace: Trace) -> tuple[Step, ...]:
    """The same, where a normalisation and the scale that it takes back are counted once: what is to blame for the sum."""
    return () if trace.trunk is None else tuple(step for step in trace.trunk.net if step.cause != "loss")


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
    return (trial.first.output_spread_after or 0.0) > max(
        thresholds.SPREAD_FLOOR, thresholds.SPREAD_GROWTH * trace.output_spread
    )


def drowned(trace: Trace) -> bool:
    """Whether what tells the samples apart is smaller than the rounding of what they share."""
    if trace.output_spread is None:
        return lost(trace) >= thresholds.DECADES_DROWNED
    return trace.output_spread < thresholds.ROUNDING


def crawls(trace: Trace) -> bool:
    """Whether some weight matrix hardly moves, because the optimizer's step follows the gradient's size."""
    moved = [
        p.update_ratio for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1 and p.optimized
    ]
    return bool(moved) and min(moved) < thresholds.CRAWL


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
    least: float = thresholds.DECADES_STALLED if now is Progress.STALLED and stands else thresholds.DECADES_AT_RISK
    if now is Progress.UNKNOWN:
        least = thresholds.DECADES_LOST  # Without a step test only what no optimizer bears.
    if decades < least or math.isnan(decades) or now is Progress.LEARNS:
        return None
    if _unlearnable(trial, decades):
        return Severity.ERROR
    if escapes(trace, trial) and (now is not Progress.STALLED or trial is None or trial.hundred is None):
        return Severity.WARNING if decades >= thresholds.DECADES_LOST else None
    hopeless = (
        decades >= thresholds.DECADES_LOST
        and at_first(trial) is not Progress.SLOW
        and (decades == math.inf or drowned(trace) or crawls(trace))
    )
    return Severity.ERROR if hopeless else Severity.WARNING


def _unlearnable(trial: StepTest | None, decades: float) -> bool:
    """Whether not even one batch, seen a hundred times, was learned by heart, and so much of the gradient is lost.

    Of 44 calibration rows that lose 4.5 decades or more and train or come between, on one batch, the 22 that train have all
    learned a tenth of it or more by then; three of the others nothing. None of these loses more than 8 decades.
    """
    seen = trial is not None and trial.unseen is None and trial.steps >= thresholds.MOST_STEPS
    return seen and progress(trial) is Progress.STALLED and decades >= thresholds.DECADES_DROWNED


def exploding(trace: Trace, trial: StepTest | None) -> Severity | None:
    """How bad the growth of the gradient along the trunk is; None where there is none, or where the net learns all the same."""
    gained = -lost(trace, trial)
    now = progress(trial)
    if math.isnan(gained) or gained < thresholds.DECADES_GAINED:
        return None
    least = thresholds.DECADES_GAINED if came_late(trial) else thresholds.DECADES_AT_ONCE
    if now is Progress.LEARNS and (gained < least or not _reaches_weights(trace)):
        return None
    return Severity.ERROR if now in (Progress.BOUNCES, Progress.STALLED, Progress.UNKNOWN) else Severity.WARNING


def _reaches_weights(trace: Trace) -> bool:
    """Whether some parameter gets a gradient that has grown: what grows on rows of zeros alone (padding) moves no weight."""
    first = body(trace)
    norms = [p.log10_gradient for p in trace.parameters if p.connected and not math.isnan(p.log10_gradient)]
    return not first or not norms or max(norms) >= first[0].log10_gradient + thresholds.DECADES_GAINED


def slowest(trace: Trace) -> str:
    """The first layer's parameter and how far the optimizer moves it, in words."""
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    if not moved:
        return ""
    least = min(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    return f"{least.name} moves by {number(least.update_ratio or 0.0, 1)} of its size a step"
