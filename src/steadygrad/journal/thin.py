"""The rules by which neighbouring rows of a series become one: for each column, what is kept of many.

A table's rows are a dict of arrays of equal length, in order; ``merge`` folds consecutive ones, merged rows as well as
first ones. Every column but the means comes out as if all had been merged at once, and so do the means of what is there
in every row. May rely on numpy; must not know of files or of what the numbers are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Columns = dict[str, Array]
Starts = NDArray[np.int64]
Reduction = Callable[[Columns, str, Starts], Array]
"""The rows, the column's name, and the index of the first row of each group -> one value a group."""


def merge(columns: Columns, starts: Starts, rules: Mapping[str, Reduction]) -> Columns:
    """One row for each group; ``starts`` begins with 0 and rises, and each group ends where the next begins."""
    return {name: rule(columns, name, starts) for name, rule in rules.items()}


def first(columns: Columns, name: str, starts: Starts) -> Array:
    """Keep the value of the first row."""
    return columns[name][starts]


def last(columns: Columns, name: str, starts: Starts) -> Array:
    """Keep the value of the last row."""
    return columns[name][_ends(columns[name], starts)]


def least(columns: Columns, name: str, starts: Starts) -> Array:
    """Keep the minimum."""
    return np.fmin.reduceat(columns[name], starts, axis=0)


def greatest(columns: Columns, name: str, starts: Starts) -> Array:
    """Keep the maximum."""
    return np.fmax.reduceat(columns[name], starts, axis=0)


def total(columns: Columns, name: str, starts: Starts) -> Array:
    """The sum."""
    return np.add.reduceat(columns[name], starts, axis=0)


def mean(columns: Columns, name: str, starts: Starts) -> Array:
    """The mean of what is finite, weighed by the rows that each row stands for; NaN where nothing is."""
    values, count = columns[name], columns["count"]
    usable = np.isfinite(values)
    weight = np.where(usable, count, 0)
    sums = np.add.reduceat(np.where(usable, values, 0.0) * weight, starts)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.add.reduceat(weight, starts))


def geometric_mean(columns: Columns, name: str, starts: Starts) -> Array:
    """The geometric mean of what is positive and finite, weighed likewise, column by column.

    Where nothing is: infinite if anything was, else zero if anything was, else NaN (no gradient at all).
    """
    values = columns[name]
    usable = np.isfinite(values) & (values > 0)
    weight = np.where(usable, columns["count"][:, None], 0).astype(np.float32)
    logs = np.log(values, where=usable, out=np.zeros_like(values))
    weights = np.add.reduceat(weight, starts, axis=0)
    with np.errstate(invalid="ignore"):
        means = np.exp(np.add.reduceat(logs * weight, starts, axis=0) / weights)
    greatest_of = np.fmax.reduceat(values, starts, axis=0)
    return np.where(weights > 0, means, greatest_of).astype(np.float32)


def holder(of: str, best: Callable[[Array], Any]) -> Reduction:
    """Return the rank of the least (``np.nanargmin``) or greatest (``np.nanargmax``) value of column ``of``."""

    def rule(columns: Columns, name: str, starts: Starts) -> Array:
        values = columns[of]
        at = [
            start + (int(best(part)) if not np.isnan(part := values[start : end + 1]).all() else 0)
            for start, end in zip(starts, _ends(values, starts), strict=True)
        ]
        return columns[name][np.array(at, dtype=np.int64)]

    return rule


def _ends(values: Array, starts: Starts) -> Starts:
    return np.append(starts[1:], len(values)) - 1


POINTS: Mapping[str, Reduction] = {
    "place": first,
    "first": least,
    "last": greatest,
    "count": total,
    "time": first,
    "high": greatest,
    "low": least,
    "after_high": greatest,
    "after_low": least,
    "factor": least,
    "clipped": total,
    "rate": last,
    "norms": geometric_mean,
    "peaks": greatest,
}
LOSSES: Mapping[str, Reduction] = {
    "place": first,
    "first": least,
    "last": greatest,
    "count": total,
    "mean": mean,
    "low": least,
    "high": greatest,
}
EXTREMES: Mapping[str, Reduction] = {
    "place": first,
    "first": least,
    "last": greatest,
    "lowest": least,
    "highest": greatest,
    "lowest_rank": holder("lowest", np.nanargmin),
    "highest_rank": holder("highest", np.nanargmax),
}
SERIES: Mapping[str, Mapping[str, Reduction]] = {"points": POINTS, "losses": LOSSES, "extremes": EXTREMES}
"""Every table that is thinned, by its name in the file."""

BLOBS = ("norms", "peaks")
"""Columns that hold one float32 a parameter."""
WHOLE = ("place", "first", "last", "count", "clipped", "lowest_rank", "highest_rank")
"""Columns of whole numbers."""


def pairs(rows: int) -> Starts:
    """Groups of two."""
    return np.arange(0, rows, 2, dtype=np.int64)
