"""What is wrong with a run, told from numbers alone: each parameter against its own past and its neighbours in depth.

Pure: rows of norms in, symptoms out, with the state beside them. No torch, no clock, no model: the same rows give the same
symptoms, live or from a journal. Norms are compared as log10 (decades), because factors are what multiply over depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from steadygrad.detect.drift import CHUNK, take_level
from steadygrad.detect.history import WARM, Array, State, learn
from steadygrad.detect.spikes import STUCK, far_above, idle, non_finite
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Severity
from steadygrad.record.rows import ABSENT, Rows, totals

RATE_JUMP = 5.0
"""Learning rate against the greatest so far. Healthy, after the first 50 steps: at most 1.41 in 16 steps
(one cycle)."""
OVERSIZED = 0.3
OVERSIZED_LEAPT = 0.1
"""Update ÷ weight in one step of a weight matrix, and where the learning rate has just leapt. Healthy: at most 0.35, with
plain SGD at a rate of 0.6, where it had been as much before; 0.06 with Adam."""
CLIP_ALWAYS = 0.99
CLIP_ALWAYS_STEPS = 200
CLIP_NEVER_STEPS = 5000
"""Shares of steps on which a clip acts that are worth a word, and the steps it takes to tell."""
CLIP_COSINE = 0.7
CLIP_TURNS = 5
"""Cosine of 45 degrees, over so many measured steps."""
CONVERGED = -6.0
"""log10 of a total norm at which an optimizer may rightly stand still: LBFGS does below its tolerance of 1e-7 an element."""
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
    """What these rows show; the state goes on in place. Symptoms are in the order of their steps.

    ``frozen``: the parameters that ask for no gradient, on purpose: theirs are not missed.
    """
    found: list[Symptom] = list(_rates(state, rows))
    asked = ~np.array(frozen, bool) if len(frozen) else np.ones(rows.norms.shape[1], bool)
    decades = logs(rows)
    broken = ~np.isfinite(rows.norms)
    # Most rows show nothing, and are told so all at once.
    ill = broken.any(axis=1)
    with np.errstate(invalid="ignore"):
        high = (decades > state.bound).any(axis=1)
    gone = ((rows.norms <= 0) & asked).any(axis=1)
    alive = state.alive + np.cumsum(rows.norms > 0, axis=0)
    gaps = rows.steps - 1
    gaps[1:] -= rows.steps[:-1]
    gaps[:1] -= state.last or gaps[:1]
    state.last = int(rows.steps[-1]) if len(rows) else state.last
    for at in np.flatnonzero(ill | high | gone | (state.above > 0) | state.idle.any()).tolist():
        step = int(rows.steps[at])
        if ill[at]:
            which = np.flatnonzero(broken[at])
            found.append(replace(non_finite(state.columns, step, which, rows.norms[at]), slack=int(gaps[at])))
            continue
        found += far_above(state, step, decades[at], int(gaps[at]))
        found += idle(state, step, rows.norms[at], asked & (alive[at] >= STUCK))
    state.alive = alive[-1] if len(rows) else state.alive
    good = decades[~ill]
    if len(good):
        learn(state, good)
        steps = rows.steps[~ill].tolist()
        for step, row in zip(steps, good, strict=True):
            state.pending.append(row)
            state.pending_steps.append(step)
            if len(state.pending) == CHUNK:
                found += take_level(state)
    return sorted(found, key=lambda symptom: symptom.step)


def _rates(state: State, rows: Rows) -> Iterator[Symptom]:
    """Leaps of the learning rate are remembered; one that stays 0 is told."""
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
            message = "no weight has changed since: the learning rate is 0"
            yield Symptom("SG106", Severity.ERROR, state.still_since, None, message, (), step, lasting=True)


def linear_bounds(state: State) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Norms above which a row needs a judgement at once; what is not finite is above all of them."""
    largest = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        return np.minimum(np.power(10.0, state.bound[:-1]), largest).astype(np.float32)


def leaps(state: State, rate: float) -> bool:
    """Whether the learning rate leaps above all that it has been: the step's update is then worth an exact look."""
    return 0 < state.greatest_rate * RATE_JUMP < rate and bool(state.seen[-1] >= WARM)


def judge_updates(state: State, step: int, ratios: Array, rate: float, *, leapt: bool) -> list[Symptom]:
    """What one step's exact updates show. ``ratios``: update ÷ weight by parameter, NaN where not measured."""
    columns = state.columns
    weights = np.array(columns.weights, bool)
    known = np.isfinite(ratios) & weights
    found: list[Symptom] = []
    if not known.any():
        return found
    before = np.nanmedian(np.stack(state.ratios), axis=0) if len(state.ratios) >= 3 else None
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = ratios / before if before is not None else np.full_like(ratios, np.nan)
    slack = step - 1 - state.sampled
    bound = OVERSIZED_LEAPT if leapt else OVERSIZED
    large = known & (ratios > bound) & ((grown > 10) if before is not None else leapt)
    if large.any():
        worst = int(np.argmax(np.where(large, ratios, -1)))
        message = f"one step changed it by {ratios[worst]:.2g} of its size"
        if before is not None and np.isfinite(grown[worst]):
            message += f", {grown[worst]:.0f}× what steps did before"
        why = f"the learning rate leapt from {state.greatest_rate:.3g} to {rate:.3g}" if leapt else ""
        which = tuple(np.flatnonzero(large).tolist())
        slack = 0 if leapt else slack
        found.append(Symptom("SG204", Severity.ERROR, step, worst, message, which, step, cause=why, slack=slack))
    # Steps without a gradient or at a rate of 0 are told by the rows; one alone may be a loss scale's search.
    told = state.still > 0 or bool((state.idle[weights] > 0).all()) or not state.median[-1] > CONVERGED
    if not large.any() and (ratios[known] == 0).all() and not told and state.seen[-1] >= WARM and state.sampled:
        state.unmoved = (*state.unmoved, step)
        if len(state.unmoved) >= 2:
            message = f"the optimizer's step changes no weight at all, at a learning rate of {rate:.3g}"
            slack = state.unmoved[0] - 1 - state.sampled
            begun = state.unmoved[0]
            found.append(Symptom("SG106", Severity.ERROR, begun, None, message, (), step, slack=slack, lasting=True))
    else:
        state.unmoved, state.sampled = (), step
    if not large.any():
        state.ratios.append(np.where(np.isfinite(ratios), ratios, np.nan))
        del state.ratios[:-20]
    return found


def judge_clip(clip: str, steps: int, acted: int, cosines: Sequence[float], step: int) -> Symptom | None:
    """Whether a clip does what clips are for: rarely something, and then in the same direction."""
    share = acted / steps if steps else 0.0
    if steps >= CLIP_ALWAYS_STEPS and share >= CLIP_ALWAYS:
        message = f"{clip} acted on {share:.1%} of {steps:,} steps: it sets the step size, as a learning rate does"
    elif steps >= CLIP_NEVER_STEPS and acted == 0:
        message = f"{clip} acted on none of {steps:,} steps: it bounds nothing"
    elif len(cosines) >= CLIP_TURNS and float(np.median(cosines)) < CLIP_COSINE:
        message = f"{clip} turns the gradient: median cosine {float(np.median(cosines)):.2f} to what it was"
    else:
        return None
    return Symptom("SG306", Severity.INFO, step, None, message, (), step)


def median_total(state: State) -> float:
    """The running median of the total norm; NaN before there is one."""
    return float(10.0 ** state.median[-1])
