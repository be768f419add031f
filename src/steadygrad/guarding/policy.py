"""What is wrong with a run, told from numbers alone: each parameter against its own past and its neighbours in depth.

Pure: rows of norms in, symptoms out, with the state beside them. No torch, no clock, no model: the same rows give the same
symptoms, live or from a journal. Norms are compared as log10 (decades), because factors are what multiply over depth.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
SPIKE_DEVIATIONS = 12.0
"""A spike is at least ten times the median *and* this many robust deviations above it. In the healthy runs of
``bench.faults`` a weight's gradient comes up to 2.05 decades above its median (four samples a step, most of them learnt), and
what is above one decade is up to 9.4 deviations (few samples, nearly all learnt); the faults there are told at 1.7 to 3.6
decades and 16 to 35 deviations."""
EXPLOSION_DECADES = 3.0
"""In one step: no longer a spike."""
STAYED = 20
"""Rows above the bound after which a spike is an explosion."""
CHUNK = 25
"""Rows of which one level (median) is kept for the slow comparisons."""
LEVELS = 400
"""Levels kept; beyond that, neighbours are merged."""
GROWTH_DECADES = 2.0
"""Rise of the total norm's level above all that it was up to the lowest of the run. Healthy: at most 1.37 (the maker of an
adversarial pair), 0.4 in all others. Above the lowest itself healthy runs rise by up to 1.5 decades."""
VANISH_DECADES = 2.5
"""Fall of the early layers' level against the greatest one, below the best of the run. Healthy: at most 0.49."""
NOTICED = 0.3
"""Decades by which a level differs from the best or lowest one before something can have begun: levels of healthy runs
differ by 0.1 from chunk to chunk."""
CUT = 0.5
"""Decades between neighbours in depth by which the place of a change is told."""
STUCK = 20
"""Rows of a gradient of exactly zero, of none after there was one, or of a learning rate of 0."""
RATE_JUMP = 5.0
"""Learning rate against the greatest so far. Healthy, after the first 50 steps: at most 1.41 in 16 steps
(one cycle)."""
AFTER_LEAP = 10
"""Rows within which what is sudden is put down to a leap of the learning rate."""
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
TOTAL = "total"
"""What the last column of a state is: the norm of all gradients together."""
CONVERGED = -6.0
"""log10 of a total norm at which an optimizer may rightly stand still: LBFGS does below its tolerance of 1e-7 an element."""
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

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(weight, bias) of the layers that have both, in the order of depth."""
        return _pairs(self.names, self.weights)


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
    cause: str = ""
    """What brought it about, where the numbers tell."""
    slack: int = 0
    """Steps by which it may have begun before ``step``, where that is told by more than the interval."""
    lasting: bool = False
    """Whether it is a state that goes on, and not one step's doing."""


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
    peak: float = -math.inf
    """The greatest level of the total norm but the last."""
    reference: float = -math.inf
    """The greatest one up to the lowest."""
    against: list[Array] = field(default_factory=list)
    """For each level the weights' levels against the greatest of them."""
    best: Array = field(default_factory=lambda: np.zeros(0))
    """The greatest of these but the last two."""
    idle: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    """For how many rows each parameter has had a gradient of exactly zero, or none."""
    alive: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    """In how many rows it has had one: what has never learnt is not missed."""
    idle_since: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    above: int = 0
    """For how many rows the total has been above its bound."""
    above_since: int = 0
    above_slack: int = 0
    last: int = 0
    """Step of the last row."""
    greatest_rate: float = 0.0
    leap: tuple[int, float, float] = (-(10**9), 0.0, 0.0)
    """The step at which the learning rate last leapt, from where and to where."""
    still: int = 0
    """For how many rows the learning rate has been 0."""
    still_since: int = 0
    sampled: int = 0
    """The last step whose updates were measured, and which moved something."""
    unmoved: tuple[int, ...] = ()
    """The steps measured since that changed no weight."""
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
            self.alive = np.zeros(width - 1, np.int64)
            self.best = np.full(sum(self.columns.weights), -np.inf)

    def as_plain(self) -> dict[str, Any]:
        """Lists and numbers that ``from_plain`` takes."""
        return {
            "names": list(self.columns.names),
            "window": self.window.tolist(),
            "seen": self.seen.tolist(),
            "levels": [[step, level.tolist()] for step, level in self.levels],
            "idle": self.idle.tolist(),
            "alive": self.alive.tolist(),
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
        state.alive = placed([[*plain["alive"], 0]], 0)[0][:-1].astype(np.int64)
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
    gaps = np.diff(rows.steps, prepend=state.last or rows.steps[:1] - 1) - 1
    state.last = int(rows.steps[-1]) if len(rows) else state.last
    for at in np.flatnonzero(ill | high | gone | (state.above > 0) | state.idle.any()).tolist():
        step = int(rows.steps[at])
        if ill[at]:
            which = np.flatnonzero(broken[at])
            found.append(replace(_non_finite(state.columns, step, which, rows.norms[at]), slack=int(gaps[at])))
            continue
        found += _sudden(state, step, decades[at], int(gaps[at]))
        found += _idle(state, step, rows.norms[at], asked & (alive[at] >= STUCK))
    state.alive = alive[-1] if len(rows) else state.alive
    good = decades[~ill]
    if len(good):
        _learn(state, good)
        steps = rows.steps[~ill].tolist()
        for step, row in zip(steps, good, strict=True):
            state.pending.append(row)
            state.pending_steps.append(step)
            if len(state.pending) == CHUNK:
                found += _slow(state)
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


def _non_finite(columns: Columns, step: int, which: np.ndarray[Any, Any], norms: np.ndarray[Any, Any]) -> Symptom:
    """Backward goes from the output to the input: of those hit, the one nearest the output was hit first."""
    first = max((int(at) for at in which if columns.weights[at]), default=int(which[-1]))
    kind = "NaN" if np.isnan(norms[first]) else "infinite"
    if len(which) == int((norms != ABSENT).sum()) and len(which) > 1:
        message = f"the gradients of all {len(which)} parameters are {kind}"
        first = int(which[0])
    else:
        more = f", and of {len(which) - 1} more" if len(which) > 1 else ""
        message = f"the gradient is {kind}{more}"
    return Symptom("SG203", Severity.ERROR, step, first, message, tuple(which.tolist()), step, float(norms[first]))


def _sudden(state: State, step: int, row: Array, gap: int) -> Iterator[Symptom]:
    """A parameter, or all together, far above its own running median."""
    excess = row - state.median
    with np.errstate(invalid="ignore"):
        high = row > state.bound
    judged = np.append(np.array(state.columns.weights, bool), True)
    high &= judged
    if not high.any():
        state.above = 0
        return
    if state.above == 0:
        state.above_since, state.above_slack = step, gap
    state.above += 1
    which = np.flatnonzero(high[:-1])
    times = 10.0 ** float(excess[-1])
    cause = ""
    if len(which):
        first, cause = _began_at(state.columns, excess[:-1], 1)
        greatest = int(which[np.argmax(excess[which])])
        first = greatest if first is None else first
        shown, more = 10.0 ** float(excess[greatest]), len(which) - 1
        if first == greatest:
            message = f"{_times(shown)} its median ({10.0 ** float(state.median[first]):.2g})"
        else:
            message = f"{state.columns.names[greatest]} is {_times(shown)} its median"
        message += f", {more} more are above theirs" if more else ""
        message += f"; the total norm {_times(times)}"
    else:
        first, shown = int(np.nanargmax(np.where(judged[:-1], excess[:-1], -np.inf))), times
        message = f"the total norm is {_times(times)} its median"
    exploding = shown >= 10**EXPLOSION_DECADES or state.above >= STAYED
    if state.above >= STAYED:
        message += f", for {state.above} steps now"
    code, severity = ("SG201", Severity.ERROR) if exploding else ("SG206", Severity.WARNING)
    begun = state.above_since
    slack = state.above_slack
    leapt, before, after = state.leap
    if 0 <= begun - leapt <= AFTER_LEAP:
        code, severity, begun = "SG204", Severity.ERROR, leapt
        cause = f"the learning rate leapt from {before:.3g} to {after:.3g}"
    norm = 10.0 ** float(row[first])
    yield Symptom(code, severity, begun, first, message, tuple(which.tolist()), step, norm, cause, slack)


def _began_at(columns: Columns, change: Array, sign: int) -> tuple[int | None, str]:
    """The weight at which a change of norms (decades; ``sign`` 1 = rise, -1 = fall) begins, and in words what changed there.

    A bias's gradient is what comes back to its layer; its weight's is that times what went into the layer. So where weights
    rise more than their biases, what goes in has risen: the layer in front of the first such one is at fault, or what the
    model was given. Else it is the layer behind which what comes back no longer has changed. None where there are too few
    layers with both, or no clear place.
    """
    pairs = [(w, b) for w, b in columns.pairs if np.isfinite(change[w]) and np.isfinite(change[b])]
    if len(pairs) < 3:
        return None, ""
    back = sign * np.array([change[b] for _, b in pairs])
    into = sign * np.array([change[w] for w, _ in pairs]) - back
    clear = max(CUT, 0.4 * float(max(back.max(), into.max())))
    steps = np.diff(into, prepend=0.0)
    if (steps >= clear).any():
        at = int(np.argmax(steps >= clear))
        times = _times(10.0 ** (sign * float(steps[at])))
        if at == 0:
            return pairs[0][0], f"what the model is given is about {times} what it was"
        return pairs[at - 1][0], f"what comes out of it is about {times} what it was"
    cuts = back[:-1] - back[1:]
    at = int(np.argmax(cuts))
    if cuts[at] < clear:
        return None, ""
    times = _times(10.0 ** (sign * float(cuts[at])))
    return pairs[at][
        0
    ], f"what comes back to it is about {times} what it was, behind {columns.names[pairs[at + 1][0]]} not"


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


def _idle(state: State, step: int, norms: np.ndarray[Any, Any], asked: np.ndarray[Any, Any]) -> Iterator[Symptom]:
    """A gradient that has become exactly zero, or is no longer there."""
    columns = state.columns
    gone = ((norms == 0) | (norms == ABSENT)) & asked
    state.idle_since = np.where(gone & (state.idle == 0), step, state.idle_since)
    state.idle = np.where(gone, state.idle + 1, 0)
    weights = np.array(columns.weights, bool)
    lasting = (state.idle > 0) & (state.idle % STUCK == 0) & weights
    if not lasting.any():
        return
    which = np.flatnonzero(lasting)
    # A weight whose bias still learns gets nothing in: the layer in front of it is the one that is dead.
    fed = {w for w, b in columns.pairs if not gone[b] and norms[b] > 0}
    first = max((int(w) for w in which if w not in fed), default=int(which[-1]))
    begun = int(state.idle_since[first])
    absent = norms[first] == ABSENT
    tiny = columns.halves[first] if columns.halves else 0.0
    code, place = "SG106", None if gone[weights & asked].all() else first
    if place is None:
        words = "no parameter has a gradient since" if absent else "all gradients have been exactly zero since"
        cause = "" if absent else "they are too small for the number format, or the loss no longer depends on the model"
    else:
        more = f", and of {len(which) - 1} more" if len(which) > 1 else ""
        words = (
            f"there has been no gradient{more} since" if absent else f"its gradient{more} has been exactly zero since"
        )
        cause = "it is detached from the loss" if absent else "no unit behind it is active"
    if tiny and not absent:
        code, cause = "SG108", f"it is smaller than the format holds ({tiny:.1g})"
    yield Symptom(code, Severity.ERROR, begun, place, words, tuple(which.tolist()), step, cause=cause, lasting=True)


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
    if state.levels:
        before, total = state.levels[-1][0], float(state.levels[-1][1][-1])
        state.peak = max(state.peak, total)
        if total < state.lowest[0]:
            state.lowest, state.reference = (total, before), state.peak
    weights = np.flatnonzero(state.columns.weights)
    if len(state.against) >= 2:
        state.best = np.fmax(state.best, state.against[-2])
    state.levels.append((step, level))
    if len(weights):
        known = level[weights][np.isfinite(level[weights])]
        state.against.append(level[weights] - (float(known.max()) if len(known) else math.nan))
    if len(state.levels) > LEVELS:
        state.levels, state.against = state.levels[::-2][::-1], state.against[::-2][::-1]


def _growing(state: State, step: int) -> Iterator[Symptom]:
    (lowest, since), reference = state.lowest, state.reference
    totals_now = [float(level[-1]) for _, level in state.levels]
    if not min(totals_now[-2:]) - reference >= GROWTH_DECADES:
        return
    at = next((level for s, level in state.levels if s >= since), state.levels[0][1])
    grown = state.levels[-1][1][:-1] - at[:-1]
    judged = np.where(np.array(state.columns.weights, bool) & np.isfinite(grown), grown, -np.inf)
    first, cause = _began_at(state.columns, grown, 1)
    first = int(np.argmax(judged)) if first is None else first
    message = (
        f"the total norm has risen by {totals_now[-1] - lowest:.1f} decades since step {since:,}, "
        f"to {totals_now[-1] - reference:.1f} above all before"
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
    first, cause = _began_at(state.columns, state.levels[-1][1][:-1] - level[:-1], -1)
    more = f" and those of {reach - 1} more" if reach > 1 else ""
    message = f"its gradient{more} have fallen {drop[place]:.1f} decades against the greatest of the layers"
    if not more:
        message = message.replace("have", "has")
    which = tuple(int(w) for w in weights[:reach])
    first = int(weights[place]) if first is None else first
    yield Symptom("SG101", Severity.ERROR, begun, first, message, which, step, cause=cause, slack=slack, lasting=True)


def _onset(state: State, away: Sequence[float], best: int) -> tuple[int, int]:
    """The step by which a drift had begun, and by how much earlier it may have: since the level from which it went away."""
    steps = [step for step, _ in state.levels]
    quiet = [at for at, value in enumerate(away) if value <= NOTICED]
    begun = steps[min(quiet[-1] + 1, len(steps) - 1)] if quiet else steps[0]
    span = steps[-1] - steps[-2]
    return begun, max(0, begun - best) + span


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


def _times(factor: float) -> str:
    return f"{factor:.3g}×" if factor < 1000 else f"{factor:.1e}×"
