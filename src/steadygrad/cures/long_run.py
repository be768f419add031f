"""A longer run of what heals, on fresh batches or parts of the one: whether it goes on learning, and at which rate best.

Thirty steps on the whole batch cannot show what the noise of small batches does: a rate at the edge diverges after fifty
steps, one that memorises the batch learns nothing of the rest. So a quarter of the batch is held out where there are
enough samples, a hundred steps are taken on random thirds of what is left, and rates about the one at hand are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch

from steadygrad.copies.copying import clone_batch
from steadygrad.cures.batch_subsets import adds_up, as_whole, divisible, rows, shuffled
from steadygrad.cures.constant_baseline import learned
from steadygrad.cures.editable_copy import EditableCopy, rate_of, set_rate
from steadygrad.cures.learning_rate import ENOUGH, beyond_hope
from steadygrad.probe.run_probe import scalar
from steadygrad.steptest.run_steptest import step_test
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

STEPS = 100

PATIENT = 300
"""Steps of a run that has to wait for a net to begin: three stacked LSTMs over 200 steps with chrono biases stand still for 60
steps under Adam at 3e-3, for 120 at 1e-3, and then learn all there is."""

LAST = 10
"""Steps at the end over which the loss is averaged, and between two looks at what is held out."""

FEWEST = 32
"""Samples from which a quarter is held out; of fewer, all are trained on whole."""

GENERALISES = 0.1
"""Share of the trivial answer's loss that must be gone on held-out samples at some rate; under it the labels are noise (a batch
that was made up), and rates are judged by the samples trained on."""

NEARLY_BEST = 0.97
"""Share of the best held-out result that is as good. In 11 set-ups of the suite, over rates from a tenth of to ten
times the one found by 30 steps, the smallest within 5 % of the best held-out result trained to nine tenths of the twin in
9; the rate found by 30 steps alone did in 6."""

FAR_FROM = 0.5
"""Share of what is enough under which no other rate is looked at: the rate at hand is the best of 30 steps."""

DOWN, UP = 2, 1
"""Half-decades below and above the rate at hand that are looked at, unless it fails; two above lie at the cliff's edge."""

LOWEST = 6
"""Half-decades down, where it fails."""


@dataclass(frozen=True)
class Settled:
    """What the steps at one rate made of the loss; shares of the best trivial answer's loss that are gone."""

    rate: float
    trained: float
    """On the samples trained on; minus infinity where the run diverged."""
    held: float | None
    """On the samples held out, at its best (where training should stop); None where none are."""

    @property
    def lasts(self) -> bool:
        """Whether what was learned is still there at the end."""
        return math.isfinite(self.trained)


@dataclass(frozen=True)
class Settling:
    """The run at the rate at hand, and that at the rate which does best; the same where nothing does better."""

    at_hand: Settled
    best: Settled


@dataclass(frozen=True)
class _Parts:
    """A batch cut in two, by sample: what is trained on, third by third, and what is held out (None = nothing)."""

    batch_of: Callable[[int], Any]
    held: Any
    steps: int
    """Of a run."""
    count: int | None = None
    """Samples in the batch, where the loss adds up over them: parts are then counted as the whole."""

    def later(self) -> _Parts:
        """The parts that another run is given, where there are others."""
        return replace(self, batch_of=lambda step: self.batch_of(self.steps + 1 + step))


def settle(
    copy: EditableCopy, trivial: float | None, *, move: bool, own: float, enough: float, steps: int = STEPS
) -> Settling:
    """The run at the copy's rate, and where ``move`` allows it at the rate about it that does best.

    A run fails where it diverges or has learned less than ``enough`` of ``trivial``, the best trivial answer's loss.
    ``own`` is the user's rate: it stays where it does nearly as well as the best. The copy is not changed.
    """
    middle = rate_of(copy.optimizer)
    parts = _cut(copy.subject, steps)
    known: dict[int, Settled] = {}

    def run(notch: int, parts: _Parts) -> Settled:
        return _run(copy.subject, middle * 10.0 ** (notch / 2), parts, trivial)

    def at(notch: int) -> Settled:
        if notch not in known:
            known[notch] = run(notch, parts)
        return known[notch]

    first = at(0)
    if not move or middle <= 0.0 or (first.lasts and first.trained < FAR_FROM * enough):
        return Settling(first, first)
    # What fails by its own steps is too fast; of what does not, both sides are looked at.
    if not first.lasts:
        notch = next((n for n in range(-1, -LOWEST - 1, -1) if at(n).trained >= enough), None)
        if notch is None:
            return Settling(first, first)
        at(notch - 1)
    else:
        for step, farthest in ((-1, DOWN), (1, UP)):
            for far in range(1, farthest + 1):
                if _worth(at(step * far), known) < _worth(at(step * (far - 1)), known):
                    break
    # A rate that learns where the half-decade below it does not is at the edge: on other samples it has to learn again.
    doubtful = [notch for notch in known if _alone(known, notch, enough)] if parts.held is not None else []
    for notch in doubtful:
        known[notch] = min(known[notch], run(notch, parts.later()), key=lambda one: one.trained)
    chosen = _chosen(known, own, enough)
    if chosen is None and doubtful:
        lowest = min(known)
        for notch in range(lowest - 1, lowest - 1 - DOWN, -1):
            at(notch)
        chosen = max(known.values(), key=lambda one: one.trained)
    return Settling(known[0], chosen or known[0])


def _alone(known: dict[int, Settled], notch: int, enough: float) -> bool:
    """Whether a rate learns enough, and the half-decade below it, where that was looked at, less than half of it."""
    return known[notch].trained >= enough and notch - 1 in known and known[notch - 1].trained < FAR_FROM * enough


def _judge(known: dict[int, Settled]) -> tuple[Callable[[Settled], float], float]:
    """What rates are judged by, and the share of the best that is enough."""
    held = [one.held for one in known.values() if one.held is not None and one.lasts]
    if held and max(held) >= GENERALISES:
        return (lambda one: one.held if one.held is not None and one.lasts else -math.inf), NEARLY_BEST
    return (lambda one: one.trained), ENOUGH


def _worth(one: Settled, known: dict[int, Settled]) -> float:
    return _judge(known)[0](one)


def _chosen(known: dict[int, Settled], own: float, enough: float) -> Settled | None:
    """Of the rates that do nearly as well as the best the user's own, else the one at hand, else the smallest.

    None where all fail.
    """
    good = {notch: one for notch, one in known.items() if one.trained >= enough}
    if not good:
        return None
    worth, share = _judge(good)
    best = max(worth(one) for one in good.values())
    near = {notch: one for notch, one in good.items() if worth(one) >= share * best}
    users = next((one for one in near.values() if math.isclose(one.rate, own)), None)
    return users or near.get(0) or near[min(near)]


def _run(subject: Subject, rate: float, parts: _Parts, trivial: float | None) -> Settled:
    held: list[float] = []

    def give_up(losses: list[float]) -> bool:
        if parts.held is not None and len(losses) % LAST == 0:
            with torch.no_grad():
                held.append(float(scalar(run.objective(run.model, clone_batch(parts.held))[0])))
        return len(losses) > LAST and beyond_hope(losses)

    with with_copy(subject) as run:
        set_rate(run.optimizer, rate)
        if parts.count is not None:
            run = replace(run, objective=as_whole(run.objective, parts.count))
        record = step_test(run, steps=parts.steps, give_up=give_up, batch_of=parts.batch_of).record
        if record.diverged or len(record.losses) <= parts.steps:
            return Settled(rate, -math.inf, None)
    first, last = record.losses[0], fmean(record.losses[-LAST - 1 : -1])
    return Settled(rate, learned(last, trivial, first), learned(min(held), trivial, first) if held else None)


def _cut(subject: Subject, steps: int) -> _Parts:
    """A quarter held out and random thirds of the rest, where there are enough samples; else the whole batch every time."""
    batch = subject.batch
    if subject.batches is not None:
        return _Parts(subject.batches.to_train_on, batch, steps)
    count = divisible(subject, FEWEST)
    if count is None:
        return _Parts(lambda _: batch, None, steps)
    order = shuffled(count, subject.seed)
    held, rest = order[: count // 4], order[count // 4 :]

    def third(step: int) -> Any:
        return rows(batch, rest[shuffled(len(rest), subject.seed + 1 + step)[: len(rest) // 3]])

    return _Parts(third, rows(batch, held), steps, count if adds_up(subject) else None)
