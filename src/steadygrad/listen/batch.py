"""Some steps of one optimizer as a listener gets them: the journal's own numbers, by the names that trackers show.

May rely on numpy, the journal's columns and the run's record; must not know who listens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steadygrad.journal.thin import Columns
from steadygrad.record.run import Run

Floats = NDArray[np.float64]

PREFIX = "steadygrad/"
"""Begins every name in a tracker, so that its own page groups them."""

NAMES = {
    "grad_norm": "high",
    "grad_norm_clipped": "after_high",
    "clip_factor": "factor",
    "lr": "rate",
}
"""In a tracker -> the journal's column: the norm of the whole gradient before any clip and after it, what clips multiplied it
by (1 = nothing was clipped), the learning rate. ``loss`` has a table of its own."""

AT_ONCE = 1000
"""Steps in a batch that is read from a file."""


@dataclass(frozen=True, eq=False)
class Batch:
    """``k`` steps, or points where old steps were merged."""

    optimizer: int
    steps: NDArray[np.int64]
    """(k,): the first step is 1."""
    times: Floats
    """(k,): seconds since the epoch."""
    values: dict[str, Floats]
    """(k,) by name; NaN = not known there."""
    parameters: tuple[str, ...]
    """Names with the prefix, in the order of depth."""
    norms: NDArray[np.float32]
    """(k, parameters): norm of each parameter's gradient before any clip; NaN = no gradient."""

    def __len__(self) -> int:
        return len(self.steps)

    def part(self, every: int) -> Batch:
        """Each ``every``-th step, the last one among them."""
        if every == 1:
            return self
        at = slice((len(self) - 1) % every, None, every)
        values = {name: one[at] for name, one in self.values.items()}
        return Batch(self.optimizer, self.steps[at], self.times[at], values, self.parameters, self.norms[at])

    def rows(self, *, layers: bool = False) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Step, time and what is known of it by name; with ``layers`` the norm of each parameter's gradient too."""
        columns = {name: values.tolist() for name, values in self.values.items()}
        if layers:
            columns |= dict(zip(self.parameters, self.norms.astype(np.float64).T.tolist(), strict=True))
        for at, (step, time) in enumerate(zip(self.steps.tolist(), self.times.tolist(), strict=True)):
            known = {name: value for name, values in columns.items() if (value := values[at]) == value}
            yield step, time, known


def written(optimizer: int, several: bool, names: Sequence[str], points: Columns, losses: NDArray[np.float64]) -> Batch:
    """Build a batch from what goes into the journal now: columns of its table ``points``, and the loss (k,), empty if unknown."""
    values = {name: points[column] for name, column in NAMES.items()}
    if len(losses):
        values["loss"] = losses
    return _named(optimizer, several, points["first"], points["time"], values, names, points["norms"])


def read_back(run: Run) -> Iterator[Batch]:
    """Replay what a journal has kept, optimizer by optimizer."""
    series = run.series
    losses = {one.optimizer: one.mean for one in series.other_losses} | {0: series.losses}
    for number in range(run.optimizers):
        rows = np.flatnonzero(series.counts[:, number] > 0)
        owned = np.flatnonzero([one.optimizer == number for one in run.watched])
        kept = {
            "high": series.high,
            "after_high": series.after_high,
            "factor": series.factors,
            "rate": series.rates,
        }
        names = [run.watched[at].name for at in owned]
        for begin in range(0, len(rows), AT_ONCE):
            at = rows[begin : begin + AT_ONCE]
            values = {name: kept[column][at, number] for name, column in NAMES.items()}
            if number in losses:
                values["loss"] = losses[number][at]
            norms = series.norms[np.ix_(at, owned)]
            yield _named(number, run.optimizers > 1, series.steps[at], series.times[at], values, names, norms)


def _named(
    optimizer: int,
    several: bool,
    steps: NDArray[np.int64],
    times: Floats,
    values: dict[str, Floats],
    names: Sequence[str],
    norms: NDArray[np.float32],
) -> Batch:
    prefix = f"{PREFIX}optimizer{optimizer}/" if several else PREFIX
    named = {f"{prefix}{name}": one for name, one in values.items()}
    return Batch(optimizer, steps, times, named, tuple(f"{prefix}grad_norm/{name}" for name in names), norms)
