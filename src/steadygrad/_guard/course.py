"""The course of a run in the guard's own memory, on few points: what a picture is drawn from where there is no journal.

Other threads may read it while the training adds to it: what is there is never changed, only replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from steadygrad.journal.columns import losses as loss_columns
from steadygrad.journal.series import series_of
from steadygrad.journal.thin import LOSSES, POINTS, Columns, Reduction, merge
from steadygrad.record.rows import Array
from steadygrad.record.run import Series

NUMBERS = 1_000_000
"""Norms that are kept at most, of all parameters together: 8 MB with their peaks."""
FEWEST, MOST = 40, 400
"""Bounds of the points that are kept."""
BLOCKS = 64
"""Pieces after which they are joined."""


class Course:
    """The rows of each optimizer, thinned. ``widths``: how many parameters each has."""

    def __init__(self, widths: Sequence[int]) -> None:
        self._widths = widths
        points = max(FEWEST, min(MOST, NUMBERS // max(1, sum(widths))))
        self._rows = [_Thinned(POINTS, points) for _ in widths]
        self._losses = [_Thinned(LOSSES, MOST) for _ in widths]

    def add(self, index: int, points: Columns, losses: Array) -> None:
        """Rows of one optimizer; ``losses`` has one for each, NaN where it is not known, or is empty."""
        self._rows[index].add(points)
        known = ~np.isnan(losses)
        if known.any():
            self._losses[index].add(loss_columns(points["first"][known], losses[known]))

    def series(self) -> Series:
        """All of it, on common points."""
        parts = [one.joined() or _none(width) for one, width in zip(self._rows, self._widths, strict=True)]
        losses = [one.joined() or loss_columns([], []) for one in self._losses]
        return series_of(parts, list(_places(self._widths)), losses, MOST)


class _Thinned:
    """Rows that come in steps of one; when there are too many, neighbours become one, all of the same number of steps."""

    def __init__(self, rules: Mapping[str, Reduction], most: int) -> None:
        self._rules = {name: rule for name, rule in rules.items() if name != "place"}
        self._most = most
        self._blocks: tuple[Columns, ...] = ()

    def add(self, columns: Columns) -> None:
        blocks = (*self._blocks, columns)
        if len(blocks) > BLOCKS or sum(len(one["first"]) for one in blocks) > 2 * self._most:
            blocks = (self._fewer(_joined(blocks)),)
        self._blocks = blocks

    def joined(self) -> Columns | None:
        """All rows by their steps; None where there are none."""
        blocks = self._blocks
        return _joined(blocks) if blocks else None

    def _fewer(self, columns: Columns) -> Columns:
        first = columns["first"]
        if len(first) <= self._most:
            return columns
        even = np.linspace(first[0], first[-1] + 1, self._most + 1)[:-1]
        return merge(columns, np.unique(np.searchsorted(first, even)), self._rules)


def _joined(blocks: Sequence[Columns]) -> Columns:
    found = {name: np.concatenate([one[name] for one in blocks]) for name in blocks[0]}
    # A step number that was set back must not make points overlap.
    order = np.argsort(found["first"], kind="stable")
    return {name: values[order] for name, values in found.items()}


def _places(widths: Sequence[int]) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    begin = 0
    for width in widths:
        yield np.arange(begin, begin + width)
        begin += width


def _none(width: int) -> Columns:
    found: Columns = {
        name: np.zeros(0, np.int64 if name in ("first", "last", "count", "clipped") else float) for name in POINTS
    }
    return found | {name: np.zeros((0, width), np.float32) for name in ("norms", "peaks")}
