"""Real steps of the real optimizer on a copy of a rounded net, and how far its loss is behind that of another.

May rely on the subject and on the emulation. Knows no report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from torch import Tensor

from steadygrad.probe.backward import put_back
from steadygrad.record.precision import UpdateRounding
from steadygrad.rounding.emulation import Plan, Products
from steadygrad.rounding.formats import Element, nearest
from steadygrad.steptest.plain_step import one_step
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy

Store = Callable[[Tensor, Element], Tensor]
"""The way weights are rounded behind each step: ``formats.nearest`` or ``formats.stochastic``."""

TAIL = 3
"""The last of so many parts of the steps is what is compared: a single step's loss depends on its batch."""


def losses_of(
    subject: Subject,
    plan: Plan,
    steps: int,
    store: tuple[Store, Element] | None = None,
    give_up: Callable[[Sequence[float]], bool] = lambda _: False,
    first: int = 0,
) -> tuple[float, ...]:
    """The loss before each step; it ends at one that is not finite, or where ``give_up`` says so of those so far.

    With ``store`` weights are rounded after each step. The batches are those from number ``first`` on.
    """
    losses: list[float] = []
    outside: list[tuple[Tensor, Tensor | None]] = []
    with with_copy(subject) as run:
        products = Products(plan)
        try:
            for step in range(steps):
                batch, seed = _batch(subject, first + step)
                # The passes alone are rounded, not what the optimizer computes.
                loss, _ = one_step(
                    run.copied, run.objective, batch, seed, outside, None, lambda: products.running(run.model)
                )
                losses.append(loss)
                if not math.isfinite(loss) or give_up(losses):
                    break
                if store is not None:
                    _store(run, *store)
        finally:
            put_back(outside)
    return tuple(losses)


def _batch(subject: Subject, step: int) -> tuple[object, int]:
    if subject.batches is None:
        return subject.batch, subject.seed
    return subject.batches.at(step), subject.seed + step


@torch.no_grad()
def _store(run: SubjectCopy, round_: Store, element: Element) -> None:
    for _, parameter in run.copied.named_parameters():
        parameter.copy_(round_(parameter.float(), element))


def behind(losses: Sequence[float], reference: Sequence[float]) -> float:
    """The part of the reference's fall that is missing in the last third of the same steps; infinite where it diverged."""
    if not math.isfinite(losses[-1]):
        return math.inf
    end = _end(reference[: len(losses)])
    return (_end(losses) - end) / ((reference[0] - end) or math.nan)


def fall_of(losses: Sequence[float]) -> float:
    """The part of the first loss that is gone in the last third of the steps; minus infinity where it diverged."""
    if not math.isfinite(losses[-1]):
        return -math.inf
    return (losses[0] - _end(losses)) / (abs(losses[0]) or 1.0)


def _end(losses: Sequence[float]) -> float:
    """The mean of the last third."""
    return fmean(losses[-math.ceil(len(losses) / TAIL) :])


def swallowed(subject: Subject, element: Element) -> tuple[UpdateRounding, ...]:
    """The share of the first update of each weight that rounding it to the format undoes."""
    outside: list[tuple[Tensor, Tensor | None]] = []
    with with_copy(subject) as run, torch.no_grad():
        for _, parameter in run.copied.named_parameters():
            parameter.copy_(nearest(parameter.float(), element))
        before = {name: p.detach().clone() for name, p in run.copied.named_parameters()}
        try:
            one_step(run.copied, run.objective, run.batch, run.seed, outside, None)
        finally:
            put_back(outside)
        found = []
        for name, parameter in run.copied.named_parameters():
            moved = parameter != before[name]
            if parameter.dim() > 1 and bool(moved.any()):
                stored = nearest(parameter.float(), element).to(parameter.dtype)
                lost = moved & (stored == before[name])
                found.append(UpdateRounding(name, float(lost.sum()) / float(moved.sum())))
        return tuple(found)
