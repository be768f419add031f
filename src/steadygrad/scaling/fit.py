"""Exponents of power laws: a straight line through logarithms, with its standard error. Pure; knows numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steadygrad.record.scale import Exponent


def exponent(sizes: Sequence[int], values: Sequence[Sequence[float]]) -> Exponent:
    """Fit value ∝ size^a by least squares on logarithms. ``values``: for each size those of all seeds.

    Values that are zero or not finite are left out; fewer than two sizes with any give NaN.
    """
    at = tuple(_geometric_mean(found) for found in values)
    points = [
        (math.log(size), math.log(value))
        for size, found in zip(sizes, values, strict=True)
        for value in found
        if math.isfinite(value) and value > 0
    ]
    if len({x for x, _ in points}) < 2:
        return Exponent(math.nan, math.nan, at)
    slope, error, _ = line([x for x, _ in points], [y for _, y in points])
    return Exponent(slope, error, at)


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope, its standard error (NaN where nothing is left to tell it), and the squares that are left."""
    across, up = np.array(x), np.array(y)
    centred = across - across.mean()
    slope = float(centred @ up / (centred @ centred))
    rest = up - up.mean() - slope * centred
    left = float(rest @ rest)
    freedom = len(x) - 2
    error = math.sqrt(left / freedom / float(centred @ centred)) if freedom > 0 else math.nan
    return slope, error, left


def _geometric_mean(values: Sequence[float]) -> float:
    known = [math.log(value) for value in values if math.isfinite(value) and value > 0]
    return math.exp(sum(known) / len(known)) if known else math.nan
