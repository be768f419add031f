"""Laws of depth: a power of the number of layers, or a factor of its own in every layer. Pure; knows numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steadygrad.record.depth import Law
from steadygrad.scaling.fit import line

STEEPEST = 3.5
"""Theory has no greater power of the number of layers: what goes faster has a factor in every layer."""
LITTLE = 1.0
"""Decades in all within which the two laws are not told apart: that is a power."""


def law(depths: Sequence[int], logs: Sequence[Sequence[float]]) -> Law:
    """Fit log10 of a quantity, for each depth those of all seeds, both ways, and take the one that leaves less.

    What is not finite is left out; fewer than two depths with any give "none".
    """
    at = tuple(_mean(found) for found in logs)
    points = [(d, one) for d, found in zip(depths, logs, strict=True) for one in found if math.isfinite(one)]
    if len({depth for depth, _ in points}) < 2:
        return Law("none", math.nan, math.nan, at)
    values = [one for _, one in points]
    power = line([math.log10(depth) for depth, _ in points], values)
    each = line([float(depth) for depth, _ in points], values)
    fast = max(values) - min(values) > LITTLE and (each[2] < power[2] or abs(power[0]) > STEEPEST)
    slope, error, _ = each if fast else power
    return Law("exponential" if fast else "power", slope, error, at)


def reaches(depths: Sequence[int], found: Law, level: float) -> tuple[float, float] | None:
    """Between which depths an exponential law reaches ``level`` (log10), two standard errors either way; None: at none."""
    if found.kind != "exponential" or not found.value:
        return None
    known = [(depth, one) for depth, one in zip(depths, found.at, strict=True) if math.isfinite(one)]
    middle_x, middle_y = (sum(column) / len(known) for column in zip(*known, strict=True))
    error = 0.0 if math.isnan(found.error) else 2 * found.error
    ends = [
        middle_x + (level - middle_y) / slope if slope * (level - middle_y) > 0 else math.inf
        for slope in (found.value - error, found.value + error)
        if slope
    ]
    least, most = min(ends), max(ends)
    return (least, most) if math.isfinite(least) else None


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
