"""What rules compare with thresholds, of one run: early gradients, losses, updates, levels. numpy only; no rule of the guard.

All are greatest values over a run's steps; a step is counted from 1, as the guard counts it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.faults.recorder import EARLY, Array, Lane

WINDOW, WARM, CHUNK = 100, 20, 25
"""Steps of a running median; steps before it is compared with; steps of one level."""
FIRST = 5
"""Steps that a run's weights are told of as at its start."""
FLAT = 0.02
"""Share by which a flat loss may differ from its start."""


@dataclass(frozen=True)
class Most:
    """The greatest update ÷ weight of some steps."""

    ratio: float
    scale: float
    """rms(weight)·√fan-in before it."""
    share: float
    """Share of the net's matrices that changed by more than a third in that step."""
    after: float
    """The next step's loss ÷ this one's."""
    step: int
    name: str


NONE = Most(0.0, math.nan, 0.0, math.nan, 0, "")


@dataclass
class Lines:
    """The quantities of one optimizer's run."""

    ahead: dict[int, float] = field(default_factory=dict)
    """Step → decades of the total norm above the greatest of all steps before it."""
    ahead_weight: dict[int, float] = field(default_factory=dict)
    """The same for single weights, where the weight has had a gradient before."""
    spike: float = -math.inf
    """Decades of a weight's norm above its running median, from step 50 on."""
    deviations: float = 0.0
    """Robust deviations of those a decade above it."""
    growth: float = -math.inf
    """Decades of the total's level above the greatest one up to the lowest."""
    rate: float = 0.0
    """Learning rate ÷ the greatest before, from step 50 on."""
    loss_deviations: float = -math.inf
    """(Loss − running median) ÷ its robust deviation."""
    loss_share: float = -math.inf
    """(Loss − running median) ÷ (start − lowest level)."""
    both: dict[float, float] = field(default_factory=dict)
    """Robust deviations → greatest share among the losses so far above the median."""
    loss_early: dict[int, float] = field(default_factory=dict)
    """Step → loss ÷ the greatest before."""
    loss_late: float = 0.0
    """Loss ÷ the greatest of the 100 before, from step 61 on."""
    loss_ever: float = 0.0
    """Loss ÷ the greatest of all before, from step 61 on, in runs whose losses are all positive."""
    loss_climb: float = 0.0
    """Loss above the greatest of those at least ten steps before, ÷ the greater of their range and size, from step 61 on."""
    level_ever: float = 0.0
    """Level of the loss ÷ the greatest loss of the first 25, from step 100 on, in such runs."""
    rise: float = -math.inf
    """Level of the loss above the best one before, ÷ (start − best)."""
    update_first: Most = NONE
    """Greatest update ÷ weight of a matrix in the first steps."""
    update_first_grown: Most = NONE
    """The same for matrices with rms(weight)·√fan-in of at least 0.1."""
    update_early: Most = NONE
    """The same, of grown matrices, from there to step 60."""
    update_later: Most = NONE
    moved_first: float = 0.0
    """The same for all matrices together: root of the sum of squares over root of the sum of squares."""
    moved_early: float = 0.0
    moved_later: float = 0.0
    flat: list[int] = field(default_factory=list)
    """Of the steps ``FLAT_AT``, those at which the median of the last 100 losses is within 2 % of that of the first 20."""


FLAT_AT = (150, 200, 300, 400, 500, 700, 1000)


def lines_of(lane: Lane) -> Lines:
    """All of them."""
    found = Lines()
    norms = np.array(lane.norms, np.float64).reshape(len(lane.norms), len(lane.names))
    _gradients(found, norms, np.array(lane.fans) > 0)
    _losses(found, np.array(lane.losses, np.float64))
    _updates(found, lane)
    for step in range(50, len(lane.rates)):
        before = max(lane.rates[:step])
        found.rate = max(found.rate, lane.rates[step] / before if before else 0.0)
    return found


def _gradients(found: Lines, norms: Array, weights: np.ndarray) -> None:
    total = np.sqrt(np.nansum(np.square(norms), axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(np.column_stack([norms, total]))
    decades[~np.isfinite(decades)] = np.nan
    best = np.fmax.accumulate(decades, axis=0)
    above = decades[1:] - best[:-1]
    judged = above[:, :-1][:, weights]
    for at in range(len(above)):
        if np.isfinite(above[at, -1]):
            found.ahead[at + 2] = float(above[at, -1])
        if np.isfinite(judged[at]).any():
            found.ahead_weight[at + 2] = float(np.nanmax(judged[at]))
    for at in range(50, len(decades)):
        window = decades[max(0, at - WINDOW) : at, :-1][:, weights]
        known = np.isfinite(window).sum(axis=0) >= 50
        if not known.any():
            continue
        window = window[:, known]
        middle = np.nanmedian(window, axis=0)
        excess = decades[at, :-1][weights][known] - middle
        if np.isfinite(excess).any():
            found.spike = max(found.spike, float(np.nanmax(excess)))
        far = excess >= 1
        if far.any():
            spread = 1.4826 * np.nanmedian(np.abs(window - middle), axis=0)[far]
            found.deviations = max(found.deviations, float((excess[far] / np.maximum(spread, 1e-9)).max()))
    levels = _levels(decades[:, -1])
    for at in range(3, len(levels)):
        low = int(np.argmin(levels[:at]))
        if low < at:
            found.growth = max(found.growth, float(min(levels[at - 1 : at + 1]) - levels[: low + 1].max()))


def _levels(values: Array) -> Array:
    whole = values[: len(values) // CHUNK * CHUNK].reshape(-1, CHUNK)
    whole = whole[np.isfinite(whole).any(axis=1)]
    return np.nanmedian(whole, axis=1) if len(whole) else np.zeros(0)


def _losses(found: Lines, losses: Array) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        greatest = np.fmax.accumulate(losses)
        ratios = losses[1:] / greatest[:-1]
    for step in range(2, min(EARLY, len(losses)) + 1):
        if (losses[: step - 1] > 0).all() and np.isfinite(ratios[step - 2]):
            found.loss_early[step] = float(ratios[step - 2])
    start = float(np.nanmedian(losses[:FIRST])) if len(losses) else math.nan
    lowest = start
    for at in range(WARM, len(losses)):
        window = losses[max(0, at - WINDOW) : at]
        middle = float(np.nanmedian(window))
        lowest = min(lowest, float(np.nanmedian(losses[max(0, at - FIRST) : at])))
        spread = max(1.4826 * float(np.nanmedian(np.abs(window - middle))), 1e-12 + 1e-6 * abs(middle))
        above, far = float(losses[at]) - middle, start - lowest
        found.loss_deviations = max(found.loss_deviations, above / spread)
        if at >= EARLY and (window > 0).all():
            found.loss_late = max(found.loss_late, float(losses[at] / window.max()))
        if far > 0:
            found.loss_share = max(found.loss_share, above / far)
            for bound in (6.0, 10.0, 20.0, 40.0):
                if above / spread >= bound:
                    found.both[bound] = max(found.both.get(bound, -math.inf), above / far)
    for at in range(EARLY, len(losses)):
        greatest, least = float(losses[: at - 9].max()), float(losses[: at - 9].min())
        above = float(losses[at]) - greatest
        found.loss_climb = max(found.loss_climb, above / max(greatest - least, abs(greatest), 1e-30))
    levels = _levels(losses)
    if len(losses) > EARLY and (losses > 0).all():
        found.loss_ever = float(np.nanmax(ratios[EARLY - 1 :], initial=0.0))
        found.level_ever = float(levels[4:].max(initial=0.0) / losses[:CHUNK].max())
    for at in range(1, len(levels)):
        best = float(levels[:at].min())
        if start > best:
            found.rise = max(found.rise, float(levels[at] - best) / (start - best))
    for step in FLAT_AT:
        if len(losses) >= step:
            first, last = float(np.nanmedian(losses[:20])), float(np.nanmedian(losses[step - 100 : step]))
            if abs(last - first) <= FLAT * abs(first):
                found.flat.append(step)


def _updates(found: Lines, lane: Lane) -> None:
    fans, sizes = np.array(lane.fans), np.array(lane.sizes)
    weights = fans > 0
    for one in lane.updates:
        known = weights & (one.norms > 0)
        if not known.any():
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(known, one.moved / one.norms, 0.0)
            scale = np.where(known, one.norms / np.sqrt(sizes) * np.sqrt(fans), 0.0)
        whole = math.sqrt(np.square(one.moved[weights]).sum() / np.square(one.norms[weights]).sum())
        now, then = ([*lane.losses, math.nan][at] for at in (one.step - 1, one.step))
        after = then / now if now else math.nan
        every = [
            Most(float(r), float(k), float((ratios[known] > 1 / 3).mean()), after, one.step, name)
            for r, k, name in zip(ratios, scale, lane.names, strict=True)
        ]
        grown = [most for most in every if most.scale >= 0.1]
        if one.step <= FIRST:
            found.update_first = _most(found.update_first, every)
            found.update_first_grown = _most(found.update_first_grown, grown)
            found.moved_first = max(found.moved_first, whole)
        elif one.step <= EARLY:
            found.update_early = _most(found.update_early, grown)
            found.moved_early = max(found.moved_early, whole)
        else:
            found.update_later = _most(found.update_later, grown)
            found.moved_later = max(found.moved_later, whole)


def _most(so_far: Most, more: Sequence[Most]) -> Most:
    return max((so_far, *more), key=lambda one: one.ratio)
