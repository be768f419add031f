"""Symptoms of a run, from numbers alone: each parameter against its own past and its neighbours in depth.

Pure: rows of norms in, symptoms out, with the state beside them. No torch, no clock, no model: the same rows give the same
symptoms, live or from a journal. Norms are compared as log10 (decades), because factors are what multiply over depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steadygrad.detect.depth import began_at
from steadygrad.detect.drift import CHUNK, take_level
from steadygrad.detect.history import TRAIL, WARM, State, learn
from steadygrad.detect.losses import highest_usual, judge_losses
from steadygrad.detect.spikes import RECENT, STUCK, far_above, idle, non_finite
from steadygrad.detect.symptoms import Symptom
from steadygrad.detect.updates import confirmed, leaps
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import ABSENT, Array, Rows, part, totals

LOWEST = -45.0
"""log10 of less than float32 can hold: what a gradient of exactly zero counts as."""


def logs(rows: Rows) -> Array:
    """log10 of each norm, and of the total in the last column; NaN where there was no gradient or no finite one."""
    norms = np.concatenate([rows.norms.astype(np.float64), totals(rows.norms)[:, None]], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        decades = np.maximum(np.log10(np.where(norms == ABSENT, np.nan, norms)), LOWEST)
    decades[~np.isfinite(norms)] = np.nan
    return decades


def judge(state: State, rows: Rows, frozen: Sequence[bool] | np.ndarray[Any, np.dtype[np.bool_]] = ()) -> list[Symptom]:
    """Judge these rows; the state goes on in place. Symptoms are in the order of their steps.

    ``frozen``: the parameters that ask for no gradient, on purpose: theirs are not missed.
    """
    if len(rows) > 1 and state.seen[-1] < WARM:
        # Young runs fall by decades: each row is compared with those before it, whatever the blocks.
        young = [judge(state, part(rows, at, at + 1), frozen) for at in range(len(rows))]
        return [symptom for found in young for symptom in found]
    found: list[Symptom] = list(_rates(state, rows))
    asked = ~np.array(frozen, bool) if len(frozen) else np.ones(rows.norms.shape[1], bool)
    decades = logs(rows)
    broken = ~np.isfinite(rows.norms)
    # Most rows show nothing; one comparison for all of them finds that.
    ill = broken.any(axis=1)
    with np.errstate(invalid="ignore"):
        high = (decades > state.bound).any(axis=1)
    gone: np.ndarray[Any, np.dtype[np.bool_]] = np.any((rows.norms <= 0) & asked, axis=1)
    alive = state.alive + np.cumsum(rows.norms > 0, axis=0)
    gaps = rows.steps - 1
    gaps[1:] -= rows.steps[:-1]
    gaps[:1] -= state.last or gaps[:1]
    state.last = int(rows.steps[-1]) if len(rows) else state.last
    losses = rows.losses if len(rows.losses) else np.full(len(rows), np.nan)
    state.trail.extend(zip(rows.steps.tolist(), decades, losses.tolist(), strict=True))
    # The row behind one that lacks a gradient, or has too much of it, shows whether that is over.
    follows = np.concatenate([[bool(state.idle.any()) or state.above > 0], (gone | high)[:-1]])
    for at in np.flatnonzero(ill | high | gone | follows).tolist():
        step = int(rows.steps[at])
        if ill[at]:
            which = np.flatnonzero(broken[at])
            found.append(replace(non_finite(state.columns, step, which, rows.norms[at]), slack=int(gaps[at])))
            continue
        recent = decades[max(0, at - RECENT) : at]
        if at < RECENT and len(state.window):
            recent = np.concatenate([state.window[-(RECENT - at) :], recent])
        found += far_above(state, step, decades[at], int(gaps[at]), recent)
        found += idle(state, step, rows.norms[at], asked, alive[at] >= STUCK)
    state.alive = alive[-1] if len(rows) else state.alive
    found += _losses(state, rows.steps.tolist(), losses, decades[:, -1])
    del state.trail[:-TRAIL]
    found += confirmed(state, rows, decades)
    good = decades[~ill]
    if len(good):
        learn(state, good)
        if not state.warm_since and state.seen[-1] >= WARM:
            state.warm_since = state.last + 1
        steps = rows.steps[~ill].tolist()
        begin = 0
        while begin < len(good):
            end = min(len(good), begin + CHUNK - len(state.pending))
            state.pending.extend(good[begin:end])
            state.pending_steps.extend(steps[begin:end])
            if len(state.pending) == CHUNK:
                found += take_level(state)
            begin = end
    return sorted(found, key=lambda symptom: symptom.step)


def _losses(state: State, steps: Sequence[int], losses: Array, totals: Array) -> Iterator[Symptom]:
    for symptom in judge_losses(state, steps, losses, totals):
        yield _placed(state, symptom) if symptom.lasting else symptom


def _placed(state: State, symptom: Symptom) -> Symptom:
    """A loss that runs away, with the layer whose gradients grew most since it began, where the levels show one."""
    before = [level for step, level in state.levels if step <= symptom.step - symptom.slack + CHUNK]
    if not before:
        return symptom
    first, cause, _ = began_at(state.columns, state.levels[-1][1][:-1] - before[-1][:-1], 1)
    return replace(symptom, column=first, cause=cause)


def _rates(state: State, rows: Rows) -> Iterator[Symptom]:
    """Leaps of the learning rate are remembered; one that stays 0 is a symptom."""
    rates = rows.rates
    if rates.size and state.still == 0 and float(rates.min()) > 0 and float(rates.max()) <= state.greatest_rate:
        return
    for step, rate in zip(rows.steps.tolist(), rates.tolist(), strict=True):
        if leaps(state, rate):
            state.leap = (step, state.greatest_rate, rate)
        state.greatest_rate = max(state.greatest_rate, rate) if rate == rate else state.greatest_rate
        if rate != 0 or state.greatest_rate == 0:
            state.still = 0
            continue
        state.still_since = step if state.still == 0 else state.still_since
        state.still += 1
        if state.still % STUCK == 0:
            message = f"the learning rate has been 0 for {state.still} steps: no weight changes"
            yield Symptom(
                "SG106",
                Severity.ERROR,
                state.still_since,
                None,
                message,
                (),
                step,
                lasting=True,
                of_the_loop=True,
                kind=FaultKind.RATE_IS_ZERO,
            )


@dataclass(frozen=True)
class Limits:
    """The levels above which a row needs a judgement at once; a non-finite number is above all of them."""

    norms: np.ndarray[Any, np.dtype[np.float32]]
    """Of each parameter's gradient."""
    total: float
    loss: float


def limits(state: State) -> Limits:
    """Compute the limits from what is known so far."""
    largest = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        linear = np.minimum(np.power(10.0, state.bound), largest)
    loss = highest_usual(state.losses)
    if state.pending_update is not None:
        loss = -math.inf  # The next rows show whether it did harm.
    return Limits(linear[:-1].astype(np.float32), float(linear[-1]), loss)
