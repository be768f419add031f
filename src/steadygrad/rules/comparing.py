"""Which operations hold outputs against targets: losses of regressions, and differences that are averaged into a loss.

Knows records; judges nothing.
"""

from __future__ import annotations

from steadygrad.record import Operation, Trace
from steadygrad.record.comparisons import DIFFERENCES, REGRESSION_LOSSES

MAGNITUDES = frozenset(["pow", "square", "abs", "mul", "norm"])
AVERAGES = frozenset(["mean", "sum"])


def compares(trace: Trace, operation: Operation) -> bool:
    """Whether it is a loss, or a difference that is made positive and then averaged by one of the last operations."""
    if operation.name in REGRESSION_LOSSES:
        return True
    if operation.name.strip("_") not in DIFFERENCES:
        return False
    then = [one for one in trace.operations if operation.index in one.parents and one.name.strip("_") in MAGNITUDES]
    last = len(trace.operations) - 3
    return any(
        one.index >= last and one.name in AVERAGES and any(each.index in one.parents for each in then)
        for one in trace.operations
    )
