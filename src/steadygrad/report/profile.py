"""The gradient along the trunk as a picture: log10 norm at each trunk point, from the loss to the input.

The range is never less than ``LEAST_RANGE`` decades, so that flat looks flat, and a lost gradient falls off the chart.
May rely on a trunk; must not know of findings or of the terminal: colours and widths are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.cells import cell_len

from steadygrad import numerals
from steadygrad.record import Trunk
from steadygrad.report import words

# Healthy published architectures stay within -2.9 ... +3.6 decades of the loss at initialisation (80 vision models):
# eight decades hold them all, in the middle of the picture.
LEAST_RANGE = 8.0

ROWS = 5
"""Rows of the chart without its axis; odd, so that the middle one has a label."""

MOST_DECADES = 1e9
"""No gradient is farther from 1 than this; only a damaged file says so."""

_BLOCKS = " ▁▂▃▄▅▆▇█"


def levels(trunk: Trunk) -> list[float]:
    """log10 norm of the gradient at each trunk point: in front of every step, and behind the last."""
    if not trunk.steps:
        return [_bounded(trunk.log10_start)]
    last = trunk.steps[-1]
    zero = last.log10_gradient == -math.inf
    end = -math.inf if zero else last.log10_gradient + last.decades
    return [_bounded(value) for value in (*(step.log10_gradient for step in trunk.steps), end)]


def _bounded(value: float) -> float:
    return max(-MOST_DECADES, min(MOST_DECADES, value)) if math.isfinite(value) else value


def caption(trunk: Trunk) -> str:
    """Describe the picture in words, with the number that a reader looks for."""
    values = levels(trunk)
    steps = numerals.count(len(trunk.steps), "step")
    zero = next((index for index, value in enumerate(values) if value == -math.inf), None)
    found = f"exactly zero after {zero:,} of {steps}" if zero is not None else _whole(trunk, steps)
    return f"gradient on the trunk, loss → {words.clean(trunk.end)}: {found}"


def _whole(trunk: Trunk, steps: str) -> str:
    """ "18.3 decades lost in 44 steps, 1.1 of them in the loss"."""
    said, loss = f"{numerals.decades(trunk.decades)} in {steps}", trunk.blame.get("loss", 0.0)
    if not 0.05 <= abs(loss) < math.inf:
        return said
    size = numerals.one_decimal(abs(loss))
    if trunk.decades and 0 < loss / trunk.decades <= 1:
        return f"{said}, {size} of them in the loss"
    return f"{said}; the loss alone {'loses' if loss < 0 else 'gains'} {size}"


def sample(values: Sequence[float], columns: int) -> list[float]:
    """``values`` on ``columns`` points: the mean of each share where there are more, straight lines where fewer."""
    size = len(values)
    if size > columns:
        bounds = [column * size // columns for column in range(columns + 1)]
        return [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds)]
    sampled = []
    for column in range(columns):
        position = column * (size - 1) / max(columns - 1, 1)
        left = min(int(position), size - 1)
        right, weight = min(left + 1, size - 1), position - left
        a, b = values[left], values[right]
        between = a + (b - a) * weight if math.isfinite(a) and math.isfinite(b) else (a if weight < 0.5 else b)
        sampled.append(between)
    return sampled


def span(values: Sequence[float]) -> tuple[float, float]:
    """Bottom and top of the picture, at least ``LEAST_RANGE`` decades apart."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    spare = max(0.0, LEAST_RANGE - (high - low)) / 2
    return low - spare, high + spare


def chart(trunk: Trunk, width: int) -> list[tuple[str, str]]:
    """Rows of (label and axis, curve), at most ``width`` cells together; the last row is the axis with its ends named.

    A column is marked "0" where the gradient is exactly zero and "?" where it is not a number.
    """
    values = levels(trunk)
    low, high = span(values)
    labels = [_power(high), *[""] * (ROWS // 2 - 1), _power((low + high) / 2), *[""] * (ROWS // 2 - 1), _power(low)]
    margin = max(map(len, labels))
    columns = max(1, width - margin - 2)
    drawn = [_column(value, low, high) for value in sample(values, columns)]
    rows = [
        (f"{label:>{margin}} {'┤' if label else '│'}", "".join(column[row] for column in drawn).rstrip())
        for row, label in enumerate(labels)
    ]
    return [*rows, (f"{'':>{margin}} └", _axis("loss", words.clean(trunk.end), columns))]


def _column(value: float, low: float, high: float) -> str:
    """One column of the chart from its top row to its bottom row."""
    if not math.isfinite(value) and value < 0:
        return "0".rjust(ROWS)
    if math.isnan(value):
        return "?".rjust(ROWS)
    eighths = max(1, round(8 * ROWS * min(1.0, (value - low) / (high - low))))
    return "".join(_BLOCKS[min(8, max(0, eighths - 8 * row))] for row in reversed(range(ROWS)))


def _power(value: float) -> str:
    return f"1e{round(value):+03d}"


def _axis(left: str, right: str, columns: int) -> str:
    dashes = columns - cell_len(left) - cell_len(right) - 4
    return f" {left} {'─' * dashes} {right}" if dashes > 0 else f" {left}"


def sparkline(values: Sequence[float]) -> str:
    """One character a value, from zero to the greatest of them: a loss that stays is a flat line."""
    size = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if size == 0.0:
        return ""
    values = [value / size for value in values]
    finite = [value for value in values if math.isfinite(value)]
    top, bottom = max(0.0, *finite), min(0.0, *finite)
    return "".join(
        _BLOCKS[1 + round(7 * (value - bottom) / (top - bottom))]
        if math.isfinite(value)
        else ("∞" if value > 0 else "?")
        for value in values
    )
