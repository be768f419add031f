"""Symptoms of one row: norms far above their medians, not finite, exactly zero or gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from steadygrad.detect.depth import began_at
from steadygrad.detect.history import TRAIL, WARM, State
from steadygrad.detect.symptoms import Symptom, times
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import ABSENT, Array, Columns

EXPLOSION_DECADES = 3.0
"""In one step: no longer a spike."""
RECENT = 5
LEAP = 0.4
"""Decades by which a spike exceeds the rows just before it, so that a gradient that grows by and by is none: on a plain net of
eight layers it grows tenfold in the first 60 steps, by at most 0.2 decades within five."""
UNMOVED = 0.7
ALONE_DECADES, ALONE_DEVIATIONS = 3.0, 30.0
"""A layer that leaps while the total norm rises by less than ``UNMOVED`` must leap by so much more. Healthy: 2.1 decades and 24
deviations (policy gradients), 3.6 decades and 10 deviations (experts)."""
STAYED = 20
"""Rows above the bound after which a spike is an explosion."""
STUCK = 20
"""Rows of a gradient of exactly zero, of none after there was one, or of a learning rate of 0."""
PAUSES, GAPS = 200, 3
"""Rows, and times its longest pause so far, that a parameter which has paused before must be without a gradient: experts and
rare words pause by nature."""
AFTER_LEAP = 10
"""Rows within which what is sudden is put down to a leap of the learning rate."""


Mask = np.ndarray[Any, np.dtype[np.bool_]]


def non_finite(columns: Columns, step: int, which: np.ndarray[Any, Any], norms: np.ndarray[Any, Any]) -> Symptom:
    """Backward goes from the output to the input: of those hit, the one nearest the output was hit first."""
    first = max((int(at) for at in which if columns.weights[at]), default=int(which[-1]))
    kind = "NaN" if np.isnan(norms[first]) else "infinite"
    present = int((norms != ABSENT).sum())
    if len(which) == present and len(which) > 1:
        message = f"the gradients of all {len(which)} parameters are {kind}"
        first = int(which[0])
    elif len(which) > 1:
        message = f"the gradients of {len(which)} of {present} parameters are {kind} or NaN".replace(
            "NaN or NaN", "NaN"
        )
    else:
        message = f"the gradient of 1 of {present} parameters is {kind}"
    return Symptom("SG203", Severity.ERROR, step, first, message, tuple(which.tolist()), step, float(norms[first]))


def far_above(state: State, step: int, row: Array, gap: int, recent: Array) -> Iterator[Symptom]:
    """A parameter, or all together, far above its own running median, and at once: ``recent`` are the rows just before."""
    young = not state.seen[-1] >= WARM
    median = state.median.copy()
    if young:
        median[-1] = state.highest
    excess = row - median
    with np.errstate(invalid="ignore"):
        high = row > state.bound
        if excess[-1] < UNMOVED:
            # One layer alone, which hardly adds to the whole: experts and policy heads leap by nature.
            high[:-1] &= excess[:-1] > np.maximum(ALONE_DECADES, ALONE_DEVIATIONS * state.deviation[:-1])
        if state.above == 0 and len(recent):
            high &= row > np.fmax.reduce(recent, axis=0) + LEAP
        if state.above == 0 and high.any():
            high &= ~(row <= _bursts(state, step) + LEAP)
    judged = np.append(np.array(state.columns.weights, bool), True)
    high &= judged
    if not high.any():
        state.above = 0
        return
    if state.above == 0:
        state.above_since, state.above_slack = step, gap
    state.above += 1
    state.spikes = [*state.spikes[-TRAIL + 1 :], step]
    which = np.flatnonzero(high[:-1])
    total = 10.0 ** float(excess[-1])
    usual = "the largest before it" if young else "its median"
    cause = ""
    first, cause, origin = began_at(state.columns, excess[:-1], 1)
    if len(which):
        greatest = int(which[np.argmax(excess[which])])
        first = greatest if first is None else first
        shown, more = 10.0 ** float(excess[greatest]), len(which) - 1
        alone = first == greatest and origin != "loss"
        name = "its gradient norm" if alone else f"the gradient norm of {state.columns.names[greatest]}"
        message = f"{name} is {times(shown)} its median ({10.0 ** float(median[greatest]):.2g})"
        message += f", and {more} more weight{'s spike' if more > 1 else ' spikes'} in the same step" if more else ""
        message += f"; the total norm is {times(total)} {usual}"
    else:
        if first is None:
            first = int(np.nanargmax(np.where(judged[:-1], excess[:-1], -np.inf)))
        shown = total
        message = f"the total gradient norm is {times(total)} {usual} ({10.0 ** float(median[-1]):.2g})"
    exploding = shown >= 10**EXPLOSION_DECADES or state.above >= STAYED
    if state.above >= STAYED:
        message += f", for {state.above} steps now"
    code, severity = ("SG201", Severity.ERROR) if exploding else ("SG206", Severity.WARNING)
    kind = FaultKind.UNKNOWN
    begun = state.above_since
    slack = state.above_slack
    leapt, before, after = state.leap
    if 0 <= begun - leapt <= AFTER_LEAP:
        code, severity, begun = "SG204", Severity.ERROR, leapt
        kind, cause = FaultKind.RATE, f"the learning rate jumped from {before:.3g} to {after:.3g}"
    norm = 10.0 ** float(row[first])
    column = None if origin == "loss" else first
    yield Symptom(
        code, severity, begun, column, message, tuple(which.tolist()), step, norm, cause, slack, origin, kind=kind
    )


def _bursts(state: State, step: int) -> Array:
    """The greatest of each norm in the rows before, without reported rows and those of a run too young for it.

    A policy that has nearly settled has a gradient of a hundred times its median whenever it tries something else: the median
    and its deviations do not show that, the rows do.
    """
    told = set(state.spikes)
    known = [row for at, row, _ in state.trail if state.warm_since <= at < step and at not in told]
    return np.fmax.reduce(known, axis=0) if known and state.warm_since else np.full(len(state.median), -np.inf)


def idle(state: State, step: int, norms: np.ndarray[Any, Any], asked: Mask, alive: Mask) -> Iterator[Symptom]:
    """A gradient that has become exactly zero, or is no longer there."""
    columns = state.columns
    gone = ((norms == 0) | (norms == ABSENT)) & asked
    state.gap = np.where(gone, state.gap, np.maximum(state.gap, state.idle))
    state.idle_since = np.where(gone & (state.idle == 0), step, state.idle_since)
    state.idle = np.where(gone, state.idle + 1, 0)
    weights = np.array(columns.weights, bool)
    long = np.where(state.gap > 0, np.maximum(PAUSES, GAPS * state.gap), STUCK)
    lasting = (state.idle >= long) & (state.idle % STUCK == 0) & weights & (state.idle > 0) & alive
    gone = gone & alive
    if not lasting.any():
        return
    which = np.flatnonzero(lasting)
    # A weight whose bias still learns gets nothing in: the layer in front of it is the one that is dead.
    fed = {w for w, b in columns.pairs if not gone[b] and norms[b] > 0}
    first = max((int(w) for w in which if w not in fed), default=int(which[-1]))
    begun = int(state.idle_since[first])
    absent = norms[first] == ABSENT
    tiny = columns.halves[first] if columns.halves else 0.0
    # Biases count: a net whose last bias still learns is not dead as a whole.
    code, place = "SG106", None if gone[asked & alive].all() else first
    lasted = int(state.idle[first])
    kind = FaultKind.UNKNOWN
    if place is None:
        kind = FaultKind.NO_GRADIENT
        words = (
            f"no parameter has had a gradient for {lasted} steps"
            if absent
            else f"all gradients have been exactly zero for {lasted} steps"
        )
        cause = "" if absent else "they are too small for the number format, or the loss no longer depends on the model"
    else:
        more = f" and those of {len(which) - 1} more" if len(which) > 1 else ""
        words = (
            f"this weight{more.replace('those of ', '')} has had no gradient for {lasted} steps"
            if absent
            else f"its gradient{more} has been exactly zero for {lasted} steps"
        )
        if more:
            words = words.replace(" has ", " have ")
        cause = "it is detached from the loss" if absent else ""
    if tiny and not absent:
        code, cause = "SG108", f"it is smaller than the smallest number of its format ({tiny:.1g})"
    yield Symptom(
        code, Severity.ERROR, begun, place, words, tuple(which.tolist()), step, cause=cause, lasting=True, kind=kind
    )
