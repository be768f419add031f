"""A panel in terminal cells: curves of braille dots over shared axes, each with a letter that the legend explains.

Colour only adds to the letters, so that a picture without colours says the same. Knows nothing of runs.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steadygrad.lab.outcome import Curve, Panel
from steadygrad.numerals import number
from steadygrad.report.colour import Paint
from steadygrad.report.layout import fill, shorten
from steadygrad.report.run import curve as braille
from steadygrad.report.words import clean

Floats = NDArray[np.float64]

ROWS = 11
MARGIN = 8
"""Cells for the numbers of the y axis."""

WIDEST = 100

HUES = ("36", "33", "35", "32", "34", "31")
"""SGR colours of the curves, one after the other; the user's own theme decides what they look like."""

_BLANK = 0x2800


def draw(panel: Panel, width: int, paint: Paint) -> list[str]:
    """Lines of at most ``width`` cells."""
    columns = max(20, min(WIDEST, width) - MARGIN - 2)
    curves = [(clean(curve.name), *_points(curve, panel)) for curve in panel.curves]
    xs, ys = (np.concatenate([one[axis] for one in curves] or [np.zeros(0)]) for axis in (1, 2))
    lines = [paint(line, "strong") for line in fill(clean(panel.title), width)]
    if not len(xs):
        return [*lines, "(no finite point)"]
    left, right = _apart(float(xs.min()), float(xs.max()))
    bottom, top = _apart(float(ys.min()), float(ys.max()))
    if panel.y_range is not None:
        bottom, top = (math.log10(value) if panel.y_log else value for value in panel.y_range)
    grid = np.full((ROWS, columns), _BLANK, dtype=np.int64)
    owner = np.full((ROWS, columns), -1)
    letters: dict[tuple[int, int], int] = {}
    for index, (curve, (_, x, y)) in enumerate(zip(panel.curves, curves, strict=True)):
        drawn = _dots(curve, x, y, (left, right), (bottom, top), columns)
        here = drawn > _BLANK
        grid[here] |= drawn[here]
        owner[here] = index
        if curve.style == "points":
            letters.update(dict.fromkeys(_filled(drawn), index))
            continue
        at = _letter(drawn, index, len(curves), letters)
        if at is not None:
            letters[at] = index
    labels = _labels(bottom, top, panel.y_log)
    lines.append(paint(f"{'':{MARGIN}} {shorten(clean(panel.y_label), columns)}", "faint"))
    for row in range(ROWS):
        axis = paint(f"{labels.get(row, ''):>{MARGIN}} {'┤' if row in labels else '│'}", "faint")
        cells = "".join(_cell(grid, owner, letters, row, column, paint) for column in range(columns))
        lines.append(axis + cells.rstrip())
    ends = [_tick(value, panel.x_log) for value in (left, right)]
    lines.append(paint(f"{'':{MARGIN}} └{'─' * columns}", "faint"))
    room = columns - len(ends[0]) - len(ends[1]) - 2
    middle = f"{shorten(clean(panel.x_label), room):^{room}}"
    lines.append(paint(f"{'':{MARGIN}}  {ends[0]} {middle} {ends[1]}", "faint"))
    named = [f"{_tint(string.ascii_lowercase[i % 26], i, paint)} {name}" for i, (name, _, _) in enumerate(curves)]
    return [*lines, *_legend(named, [len(name) + 2 for name, _, _ in curves], width)]


def _points(curve: Curve, panel: Panel) -> tuple[Floats, Floats]:
    """The finite points on the axes, in log10 where an axis is logarithmic."""
    x, y = np.array(curve.x, dtype=float), np.array(curve.y, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.log10(x) if panel.x_log else x), (np.log10(y) if panel.y_log else y)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def _dots(
    curve: Curve, x: Floats, y: Floats, across: tuple[float, float], up: tuple[float, float], columns: int
) -> NDArray[np.int64]:
    """Braille cells of one curve: interpolated between its points, every other gap left out where dashed."""
    left, right = across
    at = np.linspace(left, right, 2 * columns)
    values = np.full(2 * columns, np.nan)
    if curve.style != "points" and len(x) > 1:
        order = np.argsort(x, kind="stable")
        values = np.interp(at, x[order], y[order], left=np.nan, right=np.nan)
        if curve.style == "dashed":
            values[np.arange(len(at)) % 6 >= 3] = np.nan
        cells = _cells(values, up)
    else:
        cells = np.full((ROWS, columns), _BLANK, dtype=np.int64)
        places = np.round((x - left) / (right - left) * (2 * columns - 1)).astype(int)
        for place, value in zip(places, y, strict=True):
            one = np.full(2 * columns, np.nan)
            one[place] = value
            cells |= _cells(one, up)
    return cells


def _cells(values: Floats, up: tuple[float, float]) -> NDArray[np.int64]:
    rows = braille.band(values, values, up[0], up[1], ROWS)
    return np.array([[_BLANK if character == " " else ord(character) for character in row] for row in rows])


def _letter(
    drawn: NDArray[np.int64], index: int, count: int, taken: dict[tuple[int, int], int]
) -> tuple[int, int] | None:
    """A cell of the curve for its letter: one of its own share of the width where it has one, never one that is taken."""
    wanted = drawn.shape[1] * (index + 0.5) / max(1, count)
    free = [cell for cell in _filled(drawn) if cell not in taken]
    return min(free, key=lambda cell: abs(cell[1] - wanted), default=None)


def _filled(drawn: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in np.argwhere(drawn > _BLANK)]


def _cell(
    grid: NDArray[np.int64],
    owner: NDArray[np.int64],
    letters: dict[tuple[int, int], int],
    row: int,
    column: int,
    paint: Paint,
) -> str:
    index = letters.get((row, column))
    if index is not None:
        return _tint(string.ascii_lowercase[index % 26], index, paint)
    if grid[row, column] == _BLANK:
        return " "
    return _tint(chr(int(grid[row, column])), int(owner[row, column]), paint)


def _tint(text: str, index: int, paint: Paint) -> str:
    return f"\x1b[{HUES[index % len(HUES)]}m{text}\x1b[0m" if paint.on else text


def _legend(named: Sequence[str], sizes: Sequence[int], width: int) -> list[str]:
    lines, line, used = [], "", 0
    for text, size in zip(named, sizes, strict=True):
        if line and used + size + 3 > width - MARGIN - 2:
            lines.append(line)
            line, used = "", 0
        line, used = (f"{line}   {text}", used + 3 + size) if line else (text, size)
    return [f"{'':{MARGIN + 2}}{one}" for one in (*lines, line) if one]


def _apart(low: float, high: float) -> tuple[float, float]:
    """The same bounds, or some room around one single value."""
    if high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        return low, high
    room = 0.5 * abs(low) or 1.0
    return low - room, high + room


def _labels(bottom: float, top: float, logarithmic: bool) -> dict[int, str]:
    """Round numbers of the y axis, each by the row that it lies nearest to."""
    step = _round_above((top - bottom) / 5)
    if logarithmic:
        step = max(1.0, math.ceil(step))
    first = math.ceil(bottom / step - 1e-9)
    values = [step * number for number in range(first, math.floor(top / step + 1e-9) + 1)] or [bottom, top]
    return {round((ROWS - 1) * (top - value) / (top - bottom)): _tick(value, logarithmic) for value in values}


def _round_above(value: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(one * power for one in (1.0, 2.0, 2.5, 5.0, 10.0) if one * power >= value * (1 - 1e-9))


def _tick(value: float, logarithmic: bool) -> str:
    return number(10**value) if logarithmic else number(0.0 if abs(value) < 1e-12 else value)
