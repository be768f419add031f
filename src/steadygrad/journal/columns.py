"""Rows as a journal keeps them: arrays by the names of the file's columns. May rely on numpy; must not know of files."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steadygrad.journal.thin import Columns


def points(
    steps: ArrayLike,
    times: ArrayLike,
    norms: ArrayLike,
    totals: ArrayLike,
    factors: ArrayLike,
    rates: ArrayLike,
    *,
    width: int,
) -> Columns:
    """``k`` steps: norms of shape (k, ``width``), all others (k,). Norms are those before any clip."""
    first, total, factor = whole(steps), floats(totals), floats(factors)
    total[np.isnan(total)] = np.inf
    with np.errstate(invalid="ignore"):
        after = total * factor
    after[np.isnan(after)] = np.inf
    measured = singles(norms).reshape(len(first), width)
    return {
        "first": first,
        "last": first,
        "count": np.ones_like(first),
        "time": floats(times),
        "high": total,
        "low": total,
        "after_high": after,
        "after_low": after,
        "factor": factor,
        "clipped": (factor < 1).astype(np.int64),
        "rate": floats(rates),
        "norms": measured,
        "peaks": measured,
    }


def losses(steps: ArrayLike, values: ArrayLike) -> Columns:
    """The loss, at the steps at which it is known."""
    first, value = whole(steps), floats(values)
    return {
        "first": first,
        "last": first,
        "count": np.ones_like(first),
        "mean": value,
        "low": value,
        "high": np.where(np.isnan(value), np.inf, value),
    }


def whole(values: ArrayLike) -> NDArray[np.int64]:
    """A copy as whole numbers, of one dimension at least."""
    return np.array(values, dtype=np.int64, ndmin=1)


def floats(values: ArrayLike) -> NDArray[np.float64]:
    """A copy in double precision."""
    return np.array(values, dtype=np.float64, ndmin=1)


def singles(values: ArrayLike) -> NDArray[np.float32]:
    """A copy in single precision, as the file has it; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.array(values, dtype="<f4")
