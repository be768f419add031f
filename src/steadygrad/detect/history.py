"""The memory of the rules over a run, and its update by more rows: medians and bounds, levels, what stands idle."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steadygrad.record.rows import Array, Columns

WINDOW = 100
"""Rows over which a running median is taken."""
WARM = 50
"""Rows before a parameter is compared with its own median: the first steps of a run fall by decades by themselves."""
SPIKE_DECADES = 1.0
SPIKE_DEVIATIONS = 12.0
"""A spike is at least ten times the median *and* this many robust deviations above it. In the healthy runs of
``bench.faults`` a weight's gradient comes up to 2.05 decades above its median (four samples a step, most of them learnt), and
what is above one decade is up to 9.4 deviations (few samples, nearly all learnt); the faults there stand at 1.7 to 3.6
decades and 16 to 35 deviations."""
EARLY = 3
"""Rows before even the total norm is compared with what it was."""
EARLY_DECADES = 1.0
"""Before a run is ``WARM``, the total norm is far above when it exceeds all before it by so much. Healthy, from the fourth
step on: at most 0.31 (an actor with its critic)."""
TRAIL = 240
"""Rows and updates that are kept to find what came first."""
FIRST = 10
"""Losses that say what the loss was at its start."""
LEVELS = 400
"""Levels kept; beyond that, neighbours are merged."""
TOTAL = "total"
"""The name of a state's last column: the norm of all gradients together."""


@dataclass(frozen=True)
class PendingUpdate:
    """A step whose update was large, with what loss and gradient were then."""

    step: int
    column: int
    ratio: float
    columns: tuple[int, ...]
    loss: float
    total: float
    """log10 of the total norm."""
    rate: float


@dataclass
class LossHistory:
    """The losses so far, as far as the rules need them."""

    count: int = 0
    window: list[float] = field(default_factory=list)
    """The last ``WINDOW`` that were not spikes."""
    greatest: float = -math.inf
    """Of all that were not spikes, but for the last ``CLIMB``: a climb of some steps does not hide itself."""
    least: float = math.inf
    """Of all that were not spikes."""
    first: list[float] = field(default_factory=list)
    """The first ``FIRST``: what the loss was at its start."""
    chunk: list[float] = field(default_factory=list)
    levels: list[tuple[int, float]] = field(default_factory=list)
    """(last step, median) of each chunk."""
    best: tuple[float, int] = (math.inf, 0)
    """The lowest level but the last, and its step."""
    flat_since: int = 0
    """The step since which the loss has not moved; 0 = it moves, or it is too early to say."""
    told: int = 0
    """The step at which the loss was last said to be flat or rising."""
    chunk_steps: list[int] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    """The greatest loss of each of the last chunks, ``WINDOW`` losses together."""
    left: tuple[int, float] = (0, 0.0)
    """The step since which every loss is above all of the ``WINDOW`` before, and their greatest; 0 = there is none."""


@dataclass
class State:
    """The memory of the rules. ``as_plain`` and ``from_plain`` keep it over a resumed run."""

    columns: Columns
    window: Array = field(default_factory=lambda: np.zeros((0, 0)))
    seen: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    median: Array = field(default_factory=lambda: np.zeros(0))
    bound: Array = field(default_factory=lambda: np.zeros(0))
    """log10 norm above which a parameter spikes; infinite while the run is too young. The last one is the total's."""
    deviation: Array = field(default_factory=lambda: np.zeros(0))
    """Robust deviation of log10 of each norm, over the window."""
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
    gap: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    """The longest that each has been idle before it had a gradient again."""
    warm_since: int = 0
    """The first step that is compared with its own median; 0 = there was none yet."""
    spikes: list[int] = field(default_factory=list)
    """Steps of the last rows that were reported as far above."""
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
    long_steps: list[tuple[int, int, float]] = field(default_factory=list)
    """The last steps longer than the learning rate by much: step, parameter, and length in learning rates."""
    swallowed: tuple[int, ...] = ()
    """The measured steps in a row that most 16-bit weights rounded away."""
    swallowed_rate: float = 0.0
    """The learning rate of the last of them."""
    not_swallowed: int = 0
    """The last measured step that they did not."""
    ratios: list[Array] = field(default_factory=list)
    """Update ÷ weight of the last measured steps that were not too large."""
    highest: float = -math.inf
    """The greatest log10 of the total norm so far, steps above the bound left out."""
    trail: list[tuple[int, Array, float]] = field(default_factory=list)
    """(step, log10 norms, loss) of the last ``TRAIL`` rows, ill ones too: what came first is read from it."""
    moves: list[tuple[int, Array]] = field(default_factory=list)
    """(step, log10 of update ÷ weight ÷ rate) of the last ``TRAIL`` measured updates."""
    losses: LossHistory = field(default_factory=LossHistory)
    pending_update: PendingUpdate | None = None
    """A step that changed weights by much, until the next rows show whether it did harm."""

    def __post_init__(self) -> None:
        width = len(self.columns.names) + 1
        if not self.window.size:
            self.window = np.zeros((0, width))
            self.seen = np.zeros(width, np.int64)
            self.median = np.full(width, np.nan)
            self.bound = np.full(width, np.inf)
            self.deviation = np.full(width, np.nan)
            self.idle = np.zeros(width - 1, np.int64)
            self.idle_since = np.zeros(width - 1, np.int64)
            self.gap = np.zeros(width - 1, np.int64)
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
            "gap": self.gap.tolist(),
            "greatest_rate": self.greatest_rate,
            "highest": self.highest,
            "losses": dataclasses.asdict(self.losses),
        }

    @classmethod
    def from_plain(cls, columns: Columns, plain: dict[str, Any]) -> State:
        """The state that was saved, for the parameters that have the same name; what is new begins empty."""
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
            add_level(state, int(step), placed([level], np.nan)[0])
        state.idle = placed([[*plain["idle"], 0]], 0)[0][:-1].astype(np.int64)
        state.alive = placed([[*plain["alive"], 0]], 0)[0][:-1].astype(np.int64)
        state.gap = placed([[*plain.get("gap", [0] * (len(saved) - 1)), 0]], 0)[0][:-1].astype(np.int64)
        state.idle_since = placed([[*plain["idle_since"], 0]], 0)[0][:-1].astype(np.int64)
        state.greatest_rate = float(plain["greatest_rate"])
        state.highest = float(plain.get("highest", -math.inf))
        if "losses" in plain:
            kept = dict(plain["losses"])
            kept["levels"] = [(int(step), float(level)) for step, level in kept["levels"]]
            kept["best"] = (float(kept["best"][0]), int(kept["best"][1]))
            state.losses = LossHistory(**kept)
        rebound(state)
        return state


def learn(state: State, good: Array) -> None:
    """The window, the medians and the bounds with these rows."""
    state.seen += np.isfinite(good).sum(axis=0)
    usual = good[:, -1][good[:, -1] <= state.bound[-1]]
    if len(usual):
        state.highest = max(state.highest, float(usual.max()))
    state.window = np.concatenate([state.window, good])[-WINDOW:]
    rebound(state)


def rebound(state: State) -> None:
    state.median = medians(state.window)
    state.deviation = 1.4826 * medians(np.abs(state.window - state.median))
    bound = state.median + np.maximum(SPIKE_DECADES, SPIKE_DEVIATIONS * state.deviation)
    state.bound = np.where((state.seen >= WARM) & np.isfinite(bound), bound, np.inf)
    if EARLY <= state.seen[-1] < WARM and math.isfinite(state.highest):
        state.bound[-1] = state.highest + EARLY_DECADES


def level_now(state: State) -> float:
    """log10 of the total norm, the median of the last 20 rows; -inf where there is none."""
    recent = state.window[-20:, -1]
    return float(np.median(recent)) if len(recent) else -math.inf


def medians(rows: Array) -> Array:
    """Return the median of each column, over what is known in it; NaN where nothing is."""
    finite = np.isfinite(rows)
    if len(rows) and finite.all():
        # A third of what np.median takes; at a hundred rows that is most of a judgement.
        ordered = np.sort(rows, axis=0)
        middle: Array = (ordered[(len(rows) - 1) // 2] + ordered[len(rows) // 2]) / 2
        return middle
    found = np.full(rows.shape[1], np.nan)
    known = finite.any(axis=0)
    if known.any():
        # As np.nanmedian does it, in a fifth of the time: what is not known comes last.
        some = rows[:, known]
        ordered, counts = np.sort(some, axis=0), (~np.isnan(some)).sum(axis=0)
        low, high = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in ((counts - 1) // 2, counts // 2))
        found[known] = (low + high) / 2
    return found


def add_level(state: State, step: int, level: Array) -> None:
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
