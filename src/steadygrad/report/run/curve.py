"""A curve as rows of braille dots: two dots wide and four high in each cell, filled from its least to its greatest value.

May rely on numpy; must not know what the values are, nor of colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The bit of each dot of a cell, by its row from the top and its column.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800

BARS = " ▁▂▃▄▅▆▇█"


def band(low: Floats, high: Floats, bottom: float, top: float, rows: int) -> list[str]:
    """Rows from the top; values are two a cell. Neighbours are joined; a value that is not finite leaves a gap."""
    height = 4 * rows
    dots = np.zeros((height, len(low)), dtype=bool)
    before: tuple[int, int] | None = None
    for at, (a, b) in enumerate(zip(low, high, strict=True)):
        if not (math.isfinite(a) and math.isfinite(b)):
            before = None
            continue
        first, last = (round((height - 1) * min(1.0, max(0.0, (one - bottom) / (top - bottom)))) for one in (a, b))
        begin, end = first, last
        if before is not None:
            begin, end = min(begin, before[1] + 1), max(end, before[0] - 1)
        dots[begin : end + 1, at] = True
        before = (first, last)
    return _cells(dots[::-1])


def line(low: Floats, high: Floats, bottom: float, top: float, rows: int) -> list[tuple[int, int] | None]:
    """Return, for each value, one a cell, the rows (from the top) of its greatest and its least; None where not finite."""
    span = 4 * rows - 1
    found: list[tuple[int, int] | None] = []
    for a, b in zip(low, high, strict=True):
        if not (math.isfinite(a) and math.isfinite(b)):
            found.append(None)
            continue
        first, last = (round(span * min(1.0, max(0.0, (one - bottom) / (top - bottom)))) // 4 for one in (b, a))
        found.append((rows - 1 - first, rows - 1 - last))
    return found


def _cells(dots: NDArray[np.bool_]) -> list[str]:
    height, width = dots.shape
    cells = np.full((height // 4, width // 2), _BLANK, dtype=np.int64)
    for row, bits in enumerate(_DOTS):
        for column, bit in enumerate(bits):
            cells += bit * dots[row::4, column::2]
    return ["".join(map(chr, line)).replace(chr(_BLANK), " ") for line in cells]


def bounds(low: Floats, high: Floats, least: float) -> tuple[float, float]:
    """Whole numbers around the finite values, at least ``least`` apart."""
    finite = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]])
    if not len(finite):
        return 0.0, least
    bottom, top = math.floor(finite.min()), math.ceil(finite.max())
    spare = max(0.0, least - (top - bottom))
    return bottom - math.floor(spare / 2), top + math.ceil(spare / 2)


def ticks(bottom: float, top: float, rows: int) -> dict[int, int]:
    """Whole numbers by the row (from the top) that they are in: as many as leave a row between two of them."""
    span = round(top - bottom)
    stride = next((one for one in (1, 2, 3, 5, 10, 20, 50, 100) if span / one <= max(1, (rows - 1) / 2)), span)
    found = {}
    for value in range(math.ceil(bottom), math.floor(top) + 1):
        if value % stride == 0 or span <= stride:
            share = (value - bottom) / (top - bottom)
            found[rows - 1 - min(rows - 1, int(share * rows))] = value
    return found


def bars(shares: Sequence[float]) -> str:
    """One character a share in [0, 1]; anything above 0 is seen."""
    return "".join(" " if not share > 0 else BARS[max(1, math.ceil(8 * min(1.0, share)))] for share in shares)
