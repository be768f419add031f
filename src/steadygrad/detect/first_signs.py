"""The quantity that left its usual range first around an incident: loss, gradient, update, rate. Numbers only.

Each quantity is compared with its own rows of before the incident. What a look or a replay has seen (batch, forward pass,
weights that somebody else changed) is added by whoever saw it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from steadygrad.detect.history import State
from steadygrad.detect.symptoms import times
from steadygrad.record import Sign
from steadygrad.record.rows import Array

Marks = np.ndarray[Any, np.dtype[np.bool_]]

ORDER = ("rate", "batch", "weights", "forward", "loss", "gradient", "moments")
"""The order of two at the same step: what the step begins with stands first."""
BEFORE = 40
"""Rows before an incident in which a first sign is looked for."""
BASE, YOUNG, CLOSE = 10, 30, 8
"""Rows, at least, that say what is usual; where fewer than ``YOUNG`` lie further back than ``BEFORE``, all up to ``CLOSE`` rows
before the incident do: in a young run the norms of 40 steps ago are not usual any more."""
FAR = 0.7
DEVIATIONS = 8.0
"""A sign: log10 of a norm above its usual by this many decades (five times) *and* this many robust deviations."""
LOSS_FAR = 1.0
"""A sign: the loss above its usual by its own size *and* as many deviations."""
GAP = 4
"""Rows within which a quantity may be usual again and it is still the same sign."""


def first_signs(state: State, step: int, last: int) -> list[Sign]:
    """List what left its usual range between ``BEFORE`` rows before ``step`` and ``last``, in that order."""
    trail = [one for one in state.trail if one[0] <= last]
    if not trail:
        return []
    steps = np.array([one[0] for one in trail])
    base = _usual_rows(steps, step)
    found: list[Sign] = []
    rows = np.stack([one[1] for one in trail])
    found += _loss(steps, np.array([one[2] for one in trail]), base)
    found += _gradient(state, steps, rows, base)
    found += _moments(state, step, last, {one.step for one in found if one.kind == "gradient"})
    leapt, before, after = state.leap
    if step - BEFORE <= leapt <= last:
        found.append(Sign("rate", leapt, "", after / before if before else math.nan))
    return in_order(found)


def _usual_rows(steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]], step: int) -> Marks:
    base = steps < step - BEFORE
    if base.sum() < YOUNG:
        base = steps < step - CLOSE
    return base if base.sum() >= BASE else steps < step


def in_order(signs: Sequence[Sign]) -> list[Sign]:
    """Sort by step, and within a step by what it begins with; one of each kind."""
    kept: dict[str, Sign] = {}
    for sign in sorted(signs, key=lambda one: (one.step, ORDER.index(one.kind))):
        kept.setdefault(sign.kind, sign)
    return list(kept.values())


def in_words(signs: Sequence[Sign]) -> str:
    """Name what moved first, and how long before the next; "" where there is nothing to say."""
    if not signs:
        return ""
    first, rest = signs[0], signs[1:]
    words = _WORDS[first.kind]
    words += f" of {first.where}" if first.where else ""
    if math.isfinite(first.factor) and first.factor > 0:
        words += f" ({times(first.factor)})"
    later = next((one for one in rest if one.step > first.step), None)
    if later is not None:
        gap = later.step - first.step
        words += f", {gap} {'step' if gap == 1 else 'steps'} before {_WORDS[later.kind]}"
    return words


_WORDS = {
    "rate": "the learning rate",
    "batch": "the batch",
    "weights": "the weights",
    "forward": "the output",
    "loss": "the loss",
    "gradient": "the gradient",
    "moments": "the update",
}


def _loss(steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]], losses: Array, base: Marks) -> list[Sign]:
    known = losses[base & np.isfinite(losses)]
    if not len(known):
        return []
    usual = float(np.median(known))
    deviation = 1.4826 * float(np.median(np.abs(known - usual)))
    bound = max(float(known.max()), usual + max(LOSS_FAR * abs(usual), DEVIATIONS * deviation))
    with np.errstate(invalid="ignore"):
        at = _begin(~base & ~(losses <= bound) & ~np.isnan(losses))
    return [] if at is None else [Sign("loss", int(steps[at]), "", float(losses[at] / usual) if usual else math.nan)]


def _gradient(
    state: State,
    steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    rows: Array,
    base: Marks,
) -> list[Sign]:
    if not base.any():
        return [Sign("gradient", int(steps[-1]))] if not np.isfinite(rows[-1, -1]) else []
    excess = rows - _usual(rows[base])
    with np.errstate(invalid="ignore"):
        far = excess > _band(rows[base])
    broken = ~np.isfinite(rows[:, -1])
    far[:, :-1] &= np.array(state.columns.weights, bool)
    at = _begin(~base & (far.any(axis=1) | broken))
    if at is None:
        return []
    if broken[at]:
        return [Sign("gradient", int(steps[at]))]
    where = int(np.nanargmax(np.where(far[at], excess[at], -np.inf)))
    name = state.columns.names[where] if where < len(state.columns.names) else ""
    return [Sign("gradient", int(steps[at]), name, float(10.0 ** min(300.0, excess[at, where])))]


def _moments(state: State, step: int, last: int, gradients: set[int]) -> list[Sign]:
    """An update far above the usual one (at its rate) of a step whose gradient is usual."""
    moves = [one for one in state.moves if one[0] <= last]
    steps = np.array([one[0] for one in moves])
    if len(moves) < BASE:
        return []
    values = np.stack([one[1] for one in moves])
    base = _usual_rows(steps, min(step, *gradients, last))
    if base.sum() < 3:
        return []
    excess = values - _usual(values[base])
    with np.errstate(invalid="ignore"):
        far = (excess > _band(values[base])) & np.isfinite(values)
    far &= np.array(state.columns.weights, bool)
    at = _begin(~base & far.any(axis=1))
    if at is None or int(steps[at]) in gradients:
        return []
    where = int(np.nanargmax(np.where(far[at], excess[at], -np.inf)))
    return [Sign("moments", int(steps[at]), state.columns.names[where], float(10.0 ** excess[at, where]))]


def _usual(rows: Array) -> Array:
    with np.errstate(invalid="ignore"):
        known = np.isfinite(rows).any(axis=0)
        found = np.full(rows.shape[1], np.nan)
        found[known] = np.nanmedian(np.where(np.isfinite(rows[:, known]), rows[:, known], np.nan), axis=0)
    return found


def _band(rows: Array) -> Array:
    deviation = 1.4826 * _usual(np.abs(rows - _usual(rows)))
    return np.maximum(FAR, DEVIATIONS * np.nan_to_num(deviation))


def _begin(far: Marks) -> int | None:
    """The first row of the last stretch that is far, in which gaps of ``GAP`` rows do not count."""
    places = np.flatnonzero(far)
    if not len(places):
        return None
    breaks = np.flatnonzero(np.diff(places) > GAP)
    return int(places[breaks[-1] + 1]) if len(breaks) else int(places[0])
