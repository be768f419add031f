"""The course of a run on the columns of a picture: points become columns by their steps.

May rely on numpy and the run's record; must not know how a column is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steadygrad.record.run import Run, Series

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Axis:
    """Steps from left to right: which points a column stands for, and which column a step is in."""

    begin: int
    end: int
    """One past the last step."""
    columns: int
    first: Whole
    """(columns,): the first point of each column ..."""
    stop: Whole
    """... and one past the last. A point that reaches over an edge is in both columns, so that no step is missed in its
    own; a column between two points shows the one before it."""

    def column(self, step: float) -> int:
        """Return the column of the step within the picture."""
        at = int((step - self.begin) * self.columns / max(1, self.end - self.begin))
        return max(0, min(self.columns - 1, at))


def axis(run: Run, columns: int) -> Axis:
    """Divide all steps of the run into so many columns."""
    series = run.series
    begin, end = int(series.steps[0]), int(series.last_steps.max()) + 1
    edges = begin + (end - begin) * np.arange(columns + 1) / columns
    stop = np.maximum(np.searchsorted(series.steps, edges[1:]), 1)
    first = np.searchsorted(np.maximum.accumulate(series.last_steps), edges[:-1])
    return Axis(begin, end, columns, np.minimum(first, stop - 1), stop)


def held(run: Run) -> Series:
    """The series with each parameter's norm held through the points at which its optimizer did not step."""
    series = run.series
    norms, peaks = series.norms, series.peaks
    for number in range(run.optimizers):
        stepped = series.counts[:, number] > 0
        if stepped.all() or not stepped.any():
            continue
        before = np.maximum.accumulate(np.where(stepped, np.arange(len(series)), -1))
        owned = np.flatnonzero([one.optimizer == number for one in run.watched])
        norms, peaks = norms.copy(), peaks.copy()
        for array in (norms, peaks):
            array[np.ix_(before >= 0, owned)] = array[np.ix_(before[before >= 0], owned)]
    return replace(series, norms=norms, peaks=peaks)


def greatest(values: Floats, on: Axis) -> Floats:
    """The maximum in each column, along the first axis; NaN where nothing is known."""
    return np.array([np.fmax.reduce(values[a:b], axis=0) for a, b in zip(on.first, on.stop, strict=True)])


def least(values: Floats, on: Axis) -> Floats:
    """The minimum in each column."""
    return np.array([np.fmin.reduce(values[a:b], axis=0) for a, b in zip(on.first, on.stop, strict=True)])


def mean(values: Floats, on: Axis) -> Floats:
    """The mean of what is finite in each column."""
    usable = np.isfinite(values)
    kept = np.where(usable, values, 0.0)
    pairs = [(kept[a:b].sum(axis=0), usable[a:b].sum(axis=0)) for a, b in zip(on.first, on.stop, strict=True)]
    with np.errstate(invalid="ignore"):
        return np.array([total / count for total, count in pairs])


def clipped(series: Series, on: Axis, optimizer: int | None = None) -> Floats:
    """The share of rows that were clipped in each column, of one optimizer or over all."""
    which = slice(None) if optimizer is None else slice(optimizer, optimizer + 1)
    acted, rows = series.clipped[:, which].sum(axis=1), series.counts[:, which].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.array([acted[a:b].sum() / rows[a:b].sum() for a, b in zip(on.first, on.stop, strict=True)])


SPIKE = 5.0
"""A column shows the peak of a layer's norm where that is so many times its mean, for a spike must not drown in it."""


def levels(series: Series, members: Whole, on: Axis) -> Floats:
    """log10 of the norm of some parameters' gradient together, in each column.

    The mean on a log scale, or the peak where it stands out; -inf = exactly zero, inf = not finite, NaN = no gradient.
    """
    norms = _together(series.norms[:, members])
    peaks = _together(series.peaks[:, members])
    with np.errstate(divide="ignore"):
        norms, peaks = np.log10(norms), np.log10(peaks)
    middle, top = mean(norms, on), greatest(peaks, on)
    shown = np.where(np.isnan(middle), top, middle)
    return np.where((top - middle > np.log10(SPIKE)) | np.isposinf(top), top, shown)


def _together(norms: NDArray[np.float32]) -> Floats:
    """The norm of several parameters' gradients as one; NaN only where none has a gradient."""
    squares = norms.astype(np.float64) ** 2
    none = np.isnan(squares).all(axis=1)
    return np.where(none, np.nan, np.sqrt(np.nansum(squares, axis=1)))
