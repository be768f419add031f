"""Symptoms over many rows: the total norm rises, early layers fall away from the others, or all fall and the loss is worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from steadygrad.detect.depth import began_at
from steadygrad.detect.history import FIRST, State, add_level, medians
from steadygrad.detect.symptoms import Symptom, change, plain
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind

CHUNK = 25
"""Rows of which one level (median) is kept for the slow comparisons."""
GROWTH_DECADES = 2.6
"""Rise of the total norm's level above all that it was up to the lowest of the run. Healthy: at most 2.3, of a generator that at
first falls behind its discriminator, 0.4 in all others. The explosions of ``bench.faults`` rise by more than 3."""
VANISH_DECADES = 2.5
"""Fall of the early layers' level against the greatest one, below the best of the run. Healthy: at most 0.49."""
FADED_DECADES = 2.5
"""Fall of the total norm's level below the greatest of the run, while the loss is worse than at its start. A generator whose loss
saturates: 2.5 after 100 steps, 4 after 1,000. Healthy: at most 0.6, but for policies that settle (3.0): it is information."""
WORSE = 0.5
"""Of the spread of the first losses, or of their size: by so much the loss is above the greatest of them. That generator: 0.9;
policies whose returns have a baseline: at most 0.2."""
BENT = 0.5
"""Decades by which a level lies below the straight line of a drift that began there, and not at the lowest level."""
SETTLED = 10.0
"""A drift that began at a bend is at least this many times faster than just before it; one that only speeds up: 5."""
NOTICED = 0.3
"""Decades by which a level differs from the best or lowest one before something can have begun: levels of healthy runs
differ by 0.1 from chunk to chunk."""


def take_level(state: State) -> Iterator[Symptom]:
    """Add a level of the pending rows; judge the levels of the whole run."""
    chunk, steps = np.stack(state.pending), state.pending_steps
    state.pending, state.pending_steps = [], []
    with np.errstate(invalid="ignore"):
        level = medians(chunk) if np.isfinite(chunk).all() else np.median(chunk, axis=0)
    add_level(state, steps[-1], level)
    if len(state.levels) >= 4:
        yield from _growing(state, steps[-1])
        yield from _falling(state, steps[-1])
        yield from _fading(state, steps[-1])


def _growing(state: State, step: int) -> Iterator[Symptom]:
    (lowest, since), reference = state.lowest, state.reference
    totals_now = [float(level[-1]) for _, level in state.levels]
    if not min(totals_now[-2:]) - reference >= GROWTH_DECADES:
        return
    at = next((level for s, level in state.levels if s >= since), state.levels[0][1])
    grown = state.levels[-1][1][:-1] - at[:-1]
    judged = np.where(np.array(state.columns.weights, bool) & np.isfinite(grown), grown, -np.inf)
    first, cause, origin = began_at(state.columns, grown, 1)
    first = int(np.argmax(judged)) if first is None and origin != "loss" else first
    message = (
        f"the total gradient norm has grown by {change(totals_now[-1] - lowest)} since step {since:,}, "
        f"and exceeds the highest level before that by {change(totals_now[-1] - reference)}"
    )
    begun, slack = _onset(state, [total - lowest for total in totals_now], since)
    yield Symptom("SG201", Severity.ERROR, begun, first, message, (), step, cause=cause, slack=slack, lasting=True)


def _falling(state: State, step: int) -> Iterator[Symptom]:
    """The early layers' level against the greatest one; the first to fall is the one nearest the output that fell."""
    weights = np.flatnonzero(state.columns.weights)
    if len(weights) < 3:
        return
    with np.errstate(invalid="ignore"):
        drop = state.best - np.fmax(state.against[-1], state.against[-2])
        fallen = drop >= VANISH_DECADES
    if not fallen[: max(1, len(weights) // 4)].all():
        return
    reach = len(fallen) if fallen.all() else int(np.argmin(fallen))
    steps_down = drop[:reach] - np.append(drop[1:reach], drop[reach] if reach < len(drop) else 0.0)
    place = int(np.argmax(steps_down))
    with np.errstate(invalid="ignore"):
        falls = [float(one) for one in state.best[place] - np.stack(state.against)[:, place]]
    best = int(np.nanargmin(falls[:-2]))
    begun, slack = _onset(state, falls, state.levels[best][0])
    level = next(level for s, level in state.levels if s >= state.levels[best][0])
    first, cause, _ = began_at(state.columns, state.levels[-1][1][:-1] - level[:-1], -1)
    more = f" and those of {reach - 1} more" if reach > 1 else ""
    verb = "have shrunk" if more else "has shrunk"
    message = f"its gradient{more} {verb} by {change(drop[place])} relative to the layer with the largest gradient"
    which = tuple(int(w) for w in weights[:reach])
    first = int(weights[place]) if first is None else first
    yield Symptom("SG101", Severity.ERROR, begun, first, message, which, step, cause=cause, slack=slack, lasting=True)


def _fading(state: State, step: int) -> Iterator[Symptom]:
    """All gradients fall although the loss is worse than it was: what converges gets better."""
    losses = state.losses
    known = [level for at, level in losses.levels if at <= step]
    if len(known) < 2 or len(losses.first) < FIRST:
        return
    totals = [float(level[-1]) for _, level in state.levels]
    fall = state.peak - max(totals[-2:])
    least, greatest = min(losses.first), max(losses.first)
    worse = min(known[-2:]) - greatest
    if not (fall >= FADED_DECADES and worse > WORSE * max(greatest - least, abs(greatest))):
        return
    highest = int(np.argmax(totals[:-2]))
    begun, slack = _onset(state, [state.peak - total for total in totals], state.levels[highest][0])
    message = (
        f"all gradients together have shrunk by {change(fall)}, and the loss is {plain(known[-1])}, above the "
        f"{plain(greatest)} of its first {FIRST} steps: nothing pulls it back"
    )
    yield Symptom(
        "SG101", Severity.INFO, begun, None, message, (), step, slack=slack, lasting=True, kind=FaultKind.FADED
    )


def _onset(state: State, away: Sequence[float], best: int) -> tuple[int, int]:
    """The step by which a drift had begun, and by how much earlier it may have: since the level from which it went away."""
    steps = [step for step, _ in state.levels]
    quiet = [at for at, value in enumerate(away) if value <= NOTICED]
    last = quiet[-1] if quiet else -1
    bend = _bend(steps, away, max(last, 0))
    if bend is not None:
        last, best = bend, steps[bend]
    begun = steps[min(last + 1, len(steps) - 1)]
    span = steps[-1] - steps[-2]
    return begun, max(0, begun - best) + span


def _bend(steps: Sequence[int], away: Sequence[float], since: int) -> int | None:
    """The last level before a drift that followed another: the one furthest below the line from ``since`` to the end.

    A gradient that settled at some height and then grows did not begin where it was lowest. None where it grew all the way,
    be it faster and faster.
    """
    span, rise = steps[-1] - steps[since], away[-1] - away[since]
    if span <= 0:
        return None
    below = [
        away[since] + rise * (step - steps[since]) / span - value for step, value in zip(steps, away, strict=True)
    ][since:]
    at = since + max(range(len(below)), key=below.__getitem__)
    levels = len(away) - 1 - at
    before = min(at - since, max(3, levels // 2))
    if below[at - since] < BENT or before < 3:
        return None
    return at if (away[-1] - away[at]) / levels >= SETTLED * abs(away[at] - away[at - before]) / before else None
