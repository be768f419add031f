"""Rows of a heat map: a value is a shade, in colours where there are colours, else in characters that grow darker.

May rely on numpy and the colours of the room; must not know what the values are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from steadygrad.report.colour import Paint

SHADES = ".:-=+*#%@"

# Indices of the 256-colour palette that come nearest to matplotlib's viridis, which is even in lightness and distinguished
# by colour-blind readers: dark purple, blue, green, yellow.
HUES = (53, 54, 55, 61, 25, 31, 37, 36, 71, 113, 149, 184, 220, 227)

LEAST_SPAN = 3.0
"""Decades from the first shade to the last, at least: what is flat looks flat."""
MOST_ABOVE = 2.0
"""Decades that the last shade lies above nearly all values, at most: a spike is seen, and doesn't flatten the rest."""

NOTHING, ZERO, BROKEN = " ", "0", "!"
"""No gradient; exactly zero; not finite."""


def bounds(rows: Iterable[NDArray[np.float64]]) -> tuple[float, float]:
    """Values of the first and the last shade: nearly all are between, and so is a spike of no more than two decades."""
    values = np.concatenate([row[np.isfinite(row)] for row in rows] or [np.zeros(1)])
    if not len(values):
        return -LEAST_SPAN / 2, LEAST_SPAN / 2
    low, high = (float(one) for one in np.percentile(values, (1, 99)))
    high = min(float(values.max()), high + MOST_ABOVE)
    spare = max(0.0, LEAST_SPAN - (high - low)) / 2
    return low - spare, high + spare


def row(
    values: NDArray[np.float64], low: float, high: float, marks: Mapping[int, tuple[str, str]], paint: Paint
) -> str:
    """One cell a value; ``marks`` are characters with a style that take the place of some cells."""
    cells = [marks.get(at, (_cell(value, low, high, paint.on))) for at, value in enumerate(values)]
    return "".join(
        _painted("".join(text for text, _ in run), style, paint)
        for style, run in groupby(cells, key=lambda one: one[1])
    )


def legend(low: float, high: float, paint: Paint) -> str:
    """The shades from low to high, one or two cells each."""
    shades = len(HUES) if paint.on else len(SHADES)
    values = np.linspace(low, high, shades)
    return row(values, low, high, {}, paint)


def _cell(value: float, low: float, high: float, coloured: bool) -> tuple[str, str]:
    """The character and its style: a name of ``STYLES``, or an index of the palette."""
    if math.isnan(value):
        return NOTHING, ""
    if math.isinf(value):
        return (BROKEN, "error") if value > 0 else (ZERO, "faint")
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    if coloured:
        return " ", str(HUES[min(len(HUES) - 1, int(share * len(HUES)))])
    return SHADES[min(len(SHADES) - 1, int(share * len(SHADES)))], ""


def _painted(text: str, style: str, paint: Paint) -> str:
    if style.isdigit():
        return f"\x1b[48;5;{style}m{text}\x1b[0m"
    return paint(text, style) if style else text
