"""What is wrong with a run, told from numbers alone: each parameter against its own past and its neighbours in depth.

Pure: rows of norms in, symptoms out, with the state beside them. No torch, no clock, no model: the same rows give the same
symptoms, live or from a journal. Norms are compared as log10 (decades), because factors are what multiply over depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steadygrad.guarding.rows import ABSENT, Rows, totals
from steadygrad.record import Severity

Array = np.ndarray[Any, np.dtype[np.float64]]

WINDOW = 100
"""Rows over which a running median is taken."""
WARM = 50
"""Rows before a parameter is compared with its own median: the first steps of a run fall by decades by themselves."""
SPIKE_DECADES = 1.0
SPIKE_DEVIATIONS = 8.0
"""A spike is at least ten times the median *and* this many robust deviations above it. See ``bench/alarms.py``."""
EXPLOSION_DECADES = 3.0
"""In one step, or over the whole run above the lowest level: no longer a spike."""
STAYED = 20
"""Rows above the bound after which a spike is an explosion."""
CHUNK = 25
"""Rows of which one level (median) is kept for the slow comparisons."""
LEVELS = 400
"""Levels kept; beyond that, neighbours are merged."""
GROWTH_DECADES = 2.5
"""Rise of the total norm's level above the lowest one of the run."""
VANISH_DECADES = 3.0
"""Fall of the early layers' level against the late ones', below the best of the run."""
STUCK = 20
"""Rows of a gradient of exactly zero, or of none, after there was one."""
RATE_JUMP = 5.0
"""Learning rate against the greatest so far: schedules rise in smaller steps, or while still below an earlier peak."""
OVERSIZED = 0.3
"""Update ÷ weight in one step of a weight matrix."""
CLIP_ALWAYS = 0.99
CLIP_ALWAYS_STEPS = 200
CLIP_NEVER_STEPS = 5000
"""Shares of steps on which a clip acts that are worth a word, and the steps it takes to tell."""
CLIP_COSINE = 0.7
CLIP_TURNS = 5
"""Cosine of 45 degrees, over so many measured steps."""
TOTAL = "total"
"""What the last column of a state is: the norm of all gradients together."""
LOWEST = -45.0
"""log10 of less than float32 can hold: what a gradient of exactly zero counts as."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a row are, in the order of depth: from the input to the output."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    weights: tuple[bool, ...]
    """Whether it is a matrix or a kernel; biases and norms' scales move too freely to judge by."""
    halves: tuple[float, ...] = ()
    """Smallest positive number of the gradient's format where that is a 16-bit one, 0 elsewhere."""


@dataclass(frozen=True)
class Symptom:
    """Something wrong at one step."""

    code: str
    severity: Severity
    step: int
    column: int | None
    """The parameter by which it shows first; None = the whole model."""
    message: str
    columns: tuple[int, ...] = ()
    """All that show it."""
    last_step: int = 0
    norm: float = float("nan")
    """The gradient norm of that parameter, at the last step."""


@dataclass
class State:
    """What the policy remembers. ``as_plain`` and ``from_plain`` keep it over a resumed run."""

    columns: Columns
    window: Array = field(default_factory=lambda: np.zeros((0, 0)))
    seen: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    median: Array = field(default_factory=lambda: np.zeros(0))
    bound: Array = field(default_factory=lambda: np.zeros(0))
    """log10 norm above which a parameter spikes; infinite while it is too young to tell. The last one is the total's."""
    pending: list[Array] = field(default_factory=list)
    pending_steps: list[int] = field(default_factory=list)
    levels: list[tuple[int, Array]] = field(default_factory=list)
    lowest: tuple[float, int] = (math.inf, 0)
    """The lowest level of the total norm but the last, and its step."""
    against: list[Array] = field(default_factory=list)
    """For each level the weights' levels against those of the last layers."""
    best: Array = field(default_factory=lambda: np.zeros(0))
    """The greatest of these but the last two."""
    idle: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    """For how many rows each parameter has had a gradient of exactly zero, or none."""
    idle_since: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    above: int = 0
    """For how many rows the total has been above its bound."""
    above_since: int = 0
    greatest_rate: float = 0.0
    ratios: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        width = len(self.columns.names) + 1
        if not self.window.size:
            self.window = np.zeros((0, width))
            self.seen = np.zeros(width, np.int64)
            self.median = np.full(width, np.nan)
            self.bound = np.full(width, np.inf)
            self.idle = np.zeros(width - 1, np.int64)
            self.idle_since = np.zeros(width - 1, np.int64)
            self.best = np.full(sum(self.columns.weights), -np.inf)

    def as_plain(self) -> dict[str, Any]:
        """Lists and numbers that ``from_plain`` takes."""
        return {
            "names": list(self.columns.names),
            "window": self.window.tolist(),
            "seen": self.seen.tolist(),
            "levels": [[step, level.tolist()] for step, level in self.levels],
            "idle": self.idle.tolist(),
            "idle_since": self.idle_since.tolist(),
            "greatest_rate": self.greatest_rate,
        }

    @classmethod
    def from_plain(cls, columns: Columns, plain: dict[str, Any]) -> State:
        """The state that was saved, for the parameters that have the same name; what is new begins anew."""
        state = cls(columns)
        names = [*columns.names, TOTAL]
        saved = {name: at for at, name in enumerate([*plain["names"], TOTAL])}
        to = [at for at, name in enumerate(names) if name in saved]
        of = [saved[names[at]] for at in to]

        def placed(values: Any, empty: float) -> Array:
            found = np.full((len(values), len(names)), empty)
            found[:, to] = np.asarray(values, np.float64).reshape(len(values), len(saved))[:, of]
            return found

        state.window = placed(plain["window"], np.nan)
        state.seen = placed([plain["seen"]], 0)[0].astype(np.int64)
        for step, level in plain["levels"]:
            _add_level(state, int(step), placed([level], np.nan)[0])
        state.idle = placed([[*plain["idle"], 0]], 0)[0][:-1].astype(np.int64)
        state.idle_since = placed([[*plain["idle_since"], 0]], 0)[0][:-1].astype(np.int64)
        state.greatest_rate = float(plain["greatest_rate"])
        _rebound(state)
        return state


def logs(rows: Rows) -> Array:
    """log10 of each norm, and of the total in the last column; NaN where there was no gradient or no finite one."""
    norms = np.concatenate([rows.norms.astype(np.float64), totals(rows.norms)[:, None]], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        decades = np.maximum(np.log10(np.where(norms == ABSENT, np.nan, norms)), LOWEST)
    decades[~np.isfinite(norms)] = np.nan
    return decades


def judge(state: State, rows: Rows) -> list[Symptom]:
    """What these rows show; the state goes on in place. Symptoms are in the order of their steps."""
    found: list[Symptom] = []
    decades = logs(rows)
    broken = ~np.isfinite(rows.norms)
    # Most rows show nothing, and are told so all at once.
    ill = broken.any(axis=1)
    with np.errstate(invalid="ignore"):
        high = (decades > state.bound).any(axis=1)
    gone = (rows.norms <= 0).any(axis=1)
    for at in np.flatnonzero(ill | high | gone | (state.above > 0) | state.idle.any()).tolist():
        step = int(rows.steps[at])
        if ill[at]:
            found.append(_non_finite(state.columns, step, np.flatnonzero(broken[at]), rows.norms[at]))
            continue
        found += _sudden(state, step, decades[at])
        found += _idle(state, step, rows.norms[at])
    good = decades[~ill]
    if len(good):
        _learn(state, good)
        steps = rows.steps[~ill].tolist()
        for step, row in zip(steps, good, strict=True):
            state.pending.append(row)
            state.pending_steps.append(step)
            if len(state.pending) == CHUNK:
                found += _slow(state)
    state.greatest_rate = max(state.greatest_rate, float(rows.rates.max(initial=0.0)))
    return sorted(found, key=lambda symptom: symptom.step)


def linear_bounds(state: State) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Norms above which a row needs a judgement at once; what is not finite is above all of them."""
    largest = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        return np.minimum(np.power(10.0, state.bound[:-1]), largest).astype(np.float32)


def leaps(state: State, rate: float) -> bool:
    """Whether the learning rate leaps above all that it has been: the step's update is then worth an exact look."""
    return bool(state.seen[-1] >= WARM) and 0 < state.greatest_rate * RATE_JUMP < rate


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
    large = known & (ratios > OVERSIZED) & ((grown > 10) if before is not None else leapt)
    if large.any():
        worst = int(np.argmax(np.where(large, ratios, -1)))
        why = f"the learning rate leapt from {state.greatest_rate:.3g} to {rate:.3g}" if leapt else ""
        message = f"one step changed it by {ratios[worst]:.2g} of its size" + (f": {why}" if why else "")
        if before is not None and np.isfinite(grown[worst]):
            message += f", {grown[worst]:.0f}× what steps did before"
        found.append(
            Symptom("SG204", Severity.ERROR, step, worst, message, tuple(np.flatnonzero(large).tolist()), step)
        )
    elif before is not None and (ratios[known] == 0).all() and (before[known] > 0).any() and state.seen[-1] >= WARM:
        rate_words = "the learning rate is 0" if rate == 0 else f"at a learning rate of {rate:.3g}"
        message = f"the optimizer's step changed no weight at all, {rate_words}"
        found.append(Symptom("SG106", Severity.ERROR, step, None, message, (), step))
    if not large.any():
        state.ratios.append(np.where(np.isfinite(ratios), ratios, np.nan))
        del state.ratios[:-20]
    return found


def _non_finite(columns: Columns, step: int, which: np.ndarray[Any, Any], norms: np.ndarray[Any, Any]) -> Symptom:
    """Backward goes from the output to the input: of those hit, the one nearest the output was hit first."""
    first = int(which[-1])
    kind = "NaN" if np.isnan(norms[first]) else "infinite"
    if len(which) == len(norms) and len(norms) > 1:
        message = f"the gradients of all {len(norms)} parameters are {kind}"
        first = int(which[0])
    else:
        more = f", and of {len(which) - 1} more" if len(which) > 1 else ""
        message = f"the gradient is {kind}{more}"
    return Symptom("SG203", Severity.ERROR, step, first, message, tuple(which.tolist()), step, float(norms[first]))


def _sudden(state: State, step: int, row: Array) -> Iterator[Symptom]:
    """A parameter, or all together, far above its own running median."""
    excess = row - state.median
    with np.errstate(invalid="ignore"):
        high = row > state.bound
    judged = np.append(np.array(state.columns.weights, bool), True)
    high &= judged
    if not high.any():
        state.above = 0
        return
    state.above_since = step if state.above == 0 else state.above_since
    state.above += 1
    which = np.flatnonzero(high[:-1])
    times = 10.0 ** float(excess[-1])
    if len(which):
        first = int(which[np.argmax(excess[which])])
        shown, more = 10.0 ** float(excess[first]), len(which) - 1
        message = f"{_times(shown)} its median ({10.0 ** float(state.median[first]):.2g})"
        message += f", as are {more} more" if more else ""
        message += f"; the total norm {_times(times)}"
    else:
        first, shown = int(np.nanargmax(np.where(judged[:-1], excess[:-1], -np.inf))), times
        message = f"the total norm is {_times(times)} its median"
    exploding = shown >= 10**EXPLOSION_DECADES or state.above >= STAYED
    if state.above >= STAYED:
        message += f", for {state.above} steps now"
    code, severity = ("SG201", Severity.ERROR) if exploding else ("SG206", Severity.WARNING)
    yield Symptom(
        code, severity, state.above_since, first, message, tuple(which.tolist()), step, 10.0 ** float(row[first])
    )


def _idle(state: State, step: int, norms: np.ndarray[Any, Any]) -> Iterator[Symptom]:
    """A gradient that has become exactly zero, or is no longer there."""
    gone = (norms == 0) | (norms == ABSENT)
    state.idle_since = np.where(gone & (state.idle == 0), step, state.idle_since)
    state.idle = np.where(gone, state.idle + 1, 0)
    lasting = (state.idle == STUCK) & (state.seen[:-1] >= STUCK) & np.array(state.columns.weights, bool)
    if not lasting.any():
        return
    which = np.flatnonzero(lasting)
    first = int(which[-1])
    more = f", and of {len(which) - 1} more" if len(which) > 1 else ""
    tiny = state.columns.halves[first] if state.columns.halves else 0.0
    begun = int(state.idle_since[first])
    if norms[first] == ABSENT:
        message = f"there has been no gradient{more} since: it is detached from the loss"
        yield Symptom("SG106", Severity.ERROR, begun, first, message, tuple(which.tolist()), step)
    elif tiny:
        message = f"its gradient{more} has been exactly zero since: smaller than the format holds ({tiny:.1g})"
        yield Symptom("SG108", Severity.ERROR, begun, first, message, tuple(which.tolist()), step)
    else:
        message = f"its gradient{more} has been exactly zero since: no unit behind it is active"
        yield Symptom("SG106", Severity.ERROR, begun, first, message, tuple(which.tolist()), step)


def _learn(state: State, good: Array) -> None:
    """The window, the medians and the bounds with these rows."""
    state.seen += np.isfinite(good).sum(axis=0)
    state.window = np.concatenate([state.window, good])[-WINDOW:]
    _rebound(state)


def _rebound(state: State) -> None:
    state.median = medians(state.window)
    deviation = 1.4826 * medians(np.abs(state.window - state.median))
    bound = state.median + np.maximum(SPIKE_DECADES, SPIKE_DEVIATIONS * deviation)
    state.bound = np.where((state.seen >= WARM) & np.isfinite(bound), bound, np.inf)


def medians(rows: Array) -> Array:
    """Of each column, over what is known in it; NaN where nothing is."""
    if np.isfinite(rows).all():
        found: Array = np.median(rows, axis=0) if len(rows) else np.full(rows.shape[1], np.nan)
        return found
    found = np.full(rows.shape[1], np.nan)
    known = np.isfinite(rows).any(axis=0)
    found[known] = np.nanmedian(rows[:, known], axis=0)
    return found


def _slow(state: State) -> Iterator[Symptom]:
    """A level of the pending rows, and what the levels of the whole run show."""
    chunk, steps = np.stack(state.pending), state.pending_steps
    state.pending, state.pending_steps = [], []
    with np.errstate(invalid="ignore"):
        level = np.median(chunk, axis=0)
    _add_level(state, steps[-1], level)
    if len(state.levels) >= 4:
        yield from _growing(state, steps[-1])
        yield from _falling(state, steps[-1])


def _add_level(state: State, step: int, level: Array) -> None:
    """One more level, with what it is to be compared by; beyond ``LEVELS`` every other one is left out."""
    if state.levels and state.levels[-1][1][-1] < state.lowest[0]:
        state.lowest = (float(state.levels[-1][1][-1]), state.levels[-1][0])
    weights = np.flatnonzero(state.columns.weights)
    if len(state.against) >= 2:
        state.best = np.fmax(state.best, state.against[-2])
    state.levels.append((step, level))
    if len(weights):
        late = level[weights[-max(1, len(weights) // 4) :]]
        known = late[np.isfinite(late)]
        state.against.append(level[weights] - (float(np.median(known)) if len(known) else math.nan))
    if len(state.levels) > LEVELS:
        state.levels, state.against = state.levels[::-2][::-1], state.against[::-2][::-1]


def _growing(state: State, step: int) -> Iterator[Symptom]:
    lowest, since = state.lowest
    rise = [level[-1] - lowest for _, level in state.levels[-2:]]
    if not min(rise) >= GROWTH_DECADES:
        return
    at = next((level for s, level in state.levels if s >= since), state.levels[0][1])
    grown = state.levels[-1][1][:-1] - at[:-1]
    judged = np.where(np.array(state.columns.weights, bool) & np.isfinite(grown), grown, -np.inf)
    first = int(np.argmax(judged))
    message = (
        f"the total norm has risen by {rise[-1]:.1f} decades since step {since:,}, "
        f"this parameter's by {judged[first]:.1f}"
    )
    begun = next(s for s, level in state.levels if s > since and level[-1] - lowest >= GROWTH_DECADES)
    yield Symptom("SG201", Severity.ERROR, begun, first, message, (), step)


def _falling(state: State, step: int) -> Iterator[Symptom]:
    """The early layers' level against the late ones'; the first to fall is the one nearest the output that fell."""
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
    low = [
        s
        for (s, _), one in zip(state.levels, state.against, strict=True)
        if one[place] <= state.best[place] - VANISH_DECADES
    ]
    message = (
        f"its gradient and those of {reach - 1} more have fallen {drop[place]:.1f} decades "
        "against those of the last layers"
    )
    which = tuple(int(w) for w in weights[:reach])
    yield Symptom("SG101", Severity.ERROR, low[0], int(weights[place]), message, which, step)


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


def young(state: State) -> bool:
    """Whether nothing can be told by comparison yet."""
    return bool(state.seen[-1] < WARM)


def names_of(columns: Columns, which: Sequence[int]) -> tuple[str, ...]:
    return tuple(columns.names[at] for at in which)


def _times(factor: float) -> str:
    return f"{factor:.3g}×" if factor < 1000 else f"{factor:.1e}×"
