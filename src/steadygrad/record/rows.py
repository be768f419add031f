"""Some steps of one optimizer as plain arrays: what is measured, judged and kept in a journal. numpy only; no torch."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ABSENT = -1.0
"""In a row: this parameter had no gradient."""

SHORT = 64
"""Norms in a row that Python itself sums faster than numpy does."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Columns:
    """The columns of a row, in the order of depth: from the input to the output."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    weights: tuple[bool, ...]
    """Whether it is a matrix or a kernel; biases and norms' scales move too freely to judge by."""
    halves: tuple[float, ...] = ()
    """Smallest positive number of the gradient's format where that is a 16-bit one, 0 elsewhere."""
    fan_ins: tuple[int, ...] = ()
    """Elements that each output of a weight sums over; 0 where it is no matrix or kernel."""

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(weight, bias) of the layers that have both, in the order of depth."""
        return _pairs(self.names, self.weights)


@dataclass(frozen=True)
class Rows:
    """Some steps as they were read: ``steps (k,)``, ``times (k,)``, ``norms (k, parameters)``, the others ``(k,)``.

    A norm is NaN where the gradient is NaN, infinite where it overflowed, ``ABSENT`` where there was none. Norms are those of
    the raw gradients, before any clip. Times are seconds since the epoch.
    """

    steps: np.ndarray[Any, np.dtype[np.int64]]
    times: np.ndarray[Any, np.dtype[np.float64]]
    norms: np.ndarray[Any, np.dtype[np.float32]]
    factors: np.ndarray[Any, np.dtype[np.float32]]
    """The factor of the clips on the total norm, the program's own clip included; 1 where nothing was clipped."""
    rates: np.ndarray[Any, np.dtype[np.float32]]
    losses: np.ndarray[Any, np.dtype[np.float64]] = field(default_factory=lambda: np.zeros(0))
    """The loss that each step went backward from, NaN where it is not known; empty where none is."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.steps)


@dataclass(frozen=True)
class Updates:
    """The effect of one step on the weights: arrays of shape ``(parameters,)``, NaN where it was not measured."""

    step: int
    weights: Array
    """L2 norm of the weight before the step."""
    ratios: Array
    """Norm of the update ÷ norm of the weight."""
    exact: bool
    """Measured on all elements, and not on a sample of them."""
    rate: float = float("nan")
    still: dict[int, float] = field(default_factory=dict)
    """Of 16-bit weights, by column: share of the elements with a gradient that the step did not change."""


@dataclass(frozen=True)
class Estimates:
    """Updates of several steps, estimated on a few elements of each weight."""

    steps: np.ndarray[Any, np.dtype[np.int64]]
    rates: Array
    weights: Array
    """(parameters,): L2 norm of each weight before them, NaN where it is not estimated."""
    ratios: Array
    """(steps, parameters): norm of the update ÷ norm of the weight."""

    def one(self, at: int) -> Updates:
        """Return the rows of one step."""
        return Updates(int(self.steps[at]), self.weights, self.ratios[at], False, float(self.rates[at]))


def totals(norms: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The norm of all gradients together, for each row; absent ones count as 0, and one that is not finite shows."""
    present = np.where(norms == ABSENT, 0.0, norms).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        found: np.ndarray[Any, Any] = np.sqrt(np.square(present).sum(axis=1))
    return found


def total_of(norms: Sequence[float]) -> float:
    """The norm of all gradients of one row together; short rows are summed without numpy, whose code is seldom at hand."""
    return math.hypot(*norms) if len(norms) <= SHORT else float(np.linalg.norm(np.array(norms)))


_FIELDS = ("steps", "times", "norms", "factors", "rates", "losses")


def part(rows: Rows, begin: int, end: int) -> Rows:
    """Return some of the rows."""
    return Rows(*(getattr(rows, name)[begin:end] for name in _FIELDS))


def joined(blocks: list[Rows]) -> Rows:
    """Several blocks of rows as one."""
    if len(blocks) == 1:
        return blocks[0]
    return Rows(*(np.concatenate([getattr(block, name) for block in blocks]) for name in _FIELDS))


@functools.lru_cache(maxsize=64)
def _pairs(names: tuple[str, ...], weights: tuple[bool, ...]) -> tuple[tuple[int, int], ...]:
    places = {name: at for at, name in enumerate(names)}
    found = []
    for at, (name, weight) in enumerate(zip(names, weights, strict=True)):
        stem, dot, last = name.rpartition(".")
        bias = places.get(f"{stem}{dot}{last.replace('weight', 'bias')}") if last.startswith("weight") else None
        if weight and bias is not None and not weights[bias]:
            found.append((at, bias))
    return tuple(found)
