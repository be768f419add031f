"""Rows by hand: so many steps of made-up norms, losses and rates, judged in blocks as a guard judges them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from steadygrad.detect.history import State
from steadygrad.detect.judge import judge
from steadygrad.detect.symptoms import Symptom
from steadygrad.record.rows import Columns, Rows, part

NAMES = tuple(f"{layer}.{part}" for layer in range(4) for part in ("weight", "bias"))
LAYERS = Columns(NAMES, (64, 8) * 4, (True, False) * 4, fan_ins=(8, 0) * 4)
"""Four layers of a weight and a bias each; the columns 0, 2, 4 and 6 are the weights."""
ONE = Columns(("weight",), (64,), (True,), fan_ins=(8,))
"""One weight, whose norm is the total norm as well."""


def rows(norms: Any, *, steps: Any = None, rates: Any = 0.125, losses: Any = None) -> Rows:
    """Norms by step (one number for all parameters, or one each), as the rows of steps 1, 2, … or of ``steps``."""
    wide = np.atleast_1d(np.asarray(norms, np.float32))
    wide = wide[:, None] if wide.ndim == 1 else wide
    count = len(wide)
    numbers = np.arange(1, count + 1) if steps is None else np.asarray(steps)
    return Rows(
        numbers.astype(np.int64),
        numbers.astype(np.float64),
        wide,
        np.ones(count, np.float32),
        np.broadcast_to(np.asarray(rates, np.float32), count).copy(),
        np.zeros(0) if losses is None else np.asarray(losses, np.float64),
    )


def judged(state: State, given: Rows, *, blocks: int = 1, frozen: Sequence[bool] = ()) -> list[Symptom]:
    """Every symptom, of blocks of so many rows."""
    found: list[Symptom] = []
    for at in range(0, len(given), blocks):
        found += judge(state, part(given, at, at + blocks), frozen)
    return found


def warm(columns: Columns = ONE, *, steps: int = 60, norms: Any = 1.0, losses: float | None = None) -> State:
    """The memory of a run whose norms have been the same at each of so many steps, at a rate of 0.125."""
    return deepcopy(_warm(columns, steps, tuple(np.atleast_1d(norms).tolist()), losses))


@functools.cache
def _warm(columns: Columns, steps: int, norms: tuple[float, ...], losses: float | None) -> State:
    state = State(columns)
    wide = np.broadcast_to(np.asarray(norms, np.float32), (steps, len(columns.names)))
    known = None if losses is None else np.full(steps, losses)
    assert judged(state, rows(wide, losses=known)) == []
    return state


def then(
    state: State,
    norms: Any,
    *,
    blocks: int = 1,
    rates: Any = 0.125,
    losses: Any = None,
    gap: int = 0,
    frozen: Sequence[bool] = (),
) -> list[Symptom]:
    """The symptoms of the next steps of a run, the first ``gap`` of which were not read."""
    wide = np.atleast_1d(np.asarray(norms, np.float32))
    if wide.ndim == 1:
        wide = np.repeat(wide[:, None], len(state.columns.names), axis=1)
    steps = state.last + gap + np.arange(1, len(wide) + 1)
    return judged(state, rows(wide, steps=steps, rates=rates, losses=losses), blocks=blocks, frozen=frozen)
