"""Rows of several optimizers as one series: brought to common points by their steps.

May rely on ``thin`` and the run's record; must not know where the rows come from: a file, or the guard's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadygrad.journal.thin import SERIES, Columns, merge
from steadygrad.record.run import LossSeries, Series

Counts = NDArray[np.int64]


def _edges(parts: Sequence[Columns], most: int) -> Counts:
    """The first steps of the points: all there are, or ``most`` equal parts of the run."""
    firsts = np.unique(np.concatenate([part["first"] for part in parts]))
    if len(firsts) <= most:
        return firsts
    even = np.linspace(firsts[0], firsts[-1] + 1, most + 1)[:-1]
    return firsts[np.unique(np.searchsorted(firsts, even))]


def series_of(parts: Sequence[Columns], owned: Sequence[Counts], losses: Sequence[Columns], most: int) -> Series:
    """The course of a run on at most ``most`` points; ``owned``: the places of each optimizer's parameters among all."""
    edges = _edges(parts, most)
    points, optimizers, parameters = len(edges), len(parts), sum(map(len, owned))

    def empty(columns: int, kind: Any = np.float64) -> NDArray[Any]:
        return np.full((points, columns), 0 if kind is np.int64 else np.nan, dtype=kind)

    lasts, times = edges.copy(), np.full(points, np.nan)
    wide = {name: empty(optimizers) for name in ("high", "low", "after_high", "after_low", "factor", "rate")}
    wide |= {name: empty(optimizers, np.int64) for name in ("count", "clipped")}
    long = {name: empty(parameters, np.float32) for name in ("norms", "peaks")}
    for number, (part, columns) in enumerate(zip(parts, owned, strict=True)):
        at, merged = _binned(part, edges, "points")
        lasts[at] = np.maximum(lasts[at], merged["last"])
        times[at] = np.where(np.isnan(times[at]), merged["time"], times[at])
        for name, array in wide.items():
            array[at, number] = merged[name]
        for name, array in long.items():
            if len(at):
                array[np.ix_(at, columns)] = merged[name]
    loss, *others = [_losses(own, number, edges) for number, own in enumerate(losses)]
    return Series(
        steps=edges,
        last_steps=lasts,
        times=times,
        counts=wide["count"],
        high=wide["high"],
        low=wide["low"],
        after_high=wide["after_high"],
        after_low=wide["after_low"],
        factors=wide["factor"],
        clipped=wide["clipped"],
        rates=wide["rate"],
        norms=long["norms"],
        peaks=long["peaks"],
        losses=loss.mean,
        loss_low=loss.low,
        loss_high=loss.high,
        other_losses=tuple(one for one in others if not np.isnan(one.high).all()),
    )


def _losses(rows: Columns, optimizer: int, edges: Counts) -> LossSeries:
    found = {name: np.full(len(edges), np.nan) for name in ("mean", "low", "high")}
    if len(edges):
        at, merged = _binned(rows, edges, "losses")
        for name, array in found.items():
            array[at] = merged[name]
    return LossSeries(optimizer, **found)


def _binned(columns: Columns, edges: Counts, table: str) -> tuple[Counts, Columns]:
    """The points that have rows, and the rows merged into them."""
    at = np.maximum(np.searchsorted(edges, columns["first"], side="right") - 1, 0)
    starts = np.flatnonzero(np.diff(at, prepend=-1)).astype(np.int64)
    if not len(starts):
        return starts, columns
    rules = {name: rule for name, rule in SERIES[table].items() if name in columns}
    return at[starts], merge(columns, starts, rules) if len(starts) < len(at) else columns
