"""The proof of a cure for growth: the best rate of the smallest model is tried on a large one, without and with the cure.

Each of the three is trained at rates a factor of two apart, more of them while the best is the lowest or the highest of all, then
at those beside the best, a factor of √2 away (Yang et al. 2022, arXiv:2203.03466, figure 1, sweeps likewise).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import fmean
from typing import TypeVar

from steadygrad.errors import SubjectError
from steadygrad.record.depth import DepthRecord
from steadygrad.record.scale import ScaleRecord
from steadygrad.record.transfer import RateRun, Sweep, TransferRecord
from steadygrad.scaling import parameters
from steadygrad.source.user_errors import running_theirs
from steadygrad.steptest.run_steptest import step_test
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

STEPS = 100
FARTHEST = 7
"""Doublings of the rate, up or down, after which no more are tried."""

Found = TypeVar("Found", bound=ScaleRecord | DepthRecord)
Member = Callable[[int, int], Subject]
Powers = Callable[[str], tuple[float, float]]
Train = Callable[[float], tuple[float, float]]
"""The loss before any step and that at the end, by a factor of the rate."""


def check_large(large: int | None, small: int, argument: str) -> None:
    """Raise ``SubjectError`` unless the size to prove it at, where one is asked, is above the smallest."""
    if large is not None and large <= small:
        raise SubjectError(f"prove_at is {large}, expected a {argument} above the smallest, which is {small}")


def with_transfer(
    found: Found,
    member: Member,
    small: int,
    large: int | None,
    powers: Powers,
    *,
    without: Iterable[str] = (),
    say: Callable[[str], None],
) -> Found:
    """``found`` with its ``transfer``; as it is where no ``large`` size is asked."""
    if large is None:
        return found
    begun = time.monotonic()
    proof = transfer(member, small, large, powers, without=without, argument=found.argument, say=say)
    return replace(found, transfer=proof, seconds=found.seconds + time.monotonic() - begun)


def transfer(
    member: Member,
    small: int,
    large: int,
    powers: Powers,
    *,
    without: Iterable[str] = (),
    argument: str,
    say: Callable[[str], None],
) -> TransferRecord:
    """Sweep the rates three times, on copies. Raises ``SubjectError`` for an optimizer without a learning rate.

    Args:
        member: The subject of a size and a seed.
        small: The size that the cure leaves as it is.
        large: The size that it is for.
        powers: Of ``large`` ÷ ``small`` for a parameter's start and for its rate, by its name.
        without: Weights that need a multiplier, which no start and no rate is.
        argument: The name of what grows, for the progress.
        say: Shown what is trained.
    """

    def trained(subject: Subject, words: str, factors: parameters.Factors) -> Train:
        def train(factor: float) -> tuple[float, float]:
            say(f"{argument} {words}, rate ×{factor:.3g}")
            return _train(subject, factors, factor)

        return train

    with running_theirs("the model, its loss or its optimizer raised this while it was trained"):
        first = sweep(small, trained(member(small, 0), f"{small}", _as_built))
        subject, shared = member(large, 0), first.best.factor
        before = sweep(large, trained(subject, f"{large}, as built", _as_built), shared)
        after = sweep(large, trained(subject, f"{large}, cured", parameters.factors_of(powers, large / small)), shared)
    return TransferRecord(STEPS, _data(subject), first, before, after, tuple(without))


def sweep(size: int, train: Train, also: float = 1.0) -> Sweep:
    """Train at the optimizer's own rate and ``also`` at this factor of it, then around the best."""
    found: dict[int, tuple[float, float]] = {}

    def at(step: int) -> None:
        if step not in found:
            found[step] = train(_factor(step))

    at(0)
    at(round(2 * math.log2(also)))
    while True:
        best = min(found, key=lambda step: (found[step][1], step))
        missing = [step for step in (best - 2, best + 2) if abs(step) <= 2 * FARTHEST and step not in found]
        if not missing:
            break
        for step in missing:
            at(step)
    at(best - 1)
    at(best + 1)
    return Sweep(size, found[0][0], tuple(RateRun(_factor(step), found[step][1]) for step in sorted(found)))


def _factor(step: int) -> float:
    return float(2 ** (step / 2))


def _as_built(_name: str) -> tuple[float, float]:
    return 1.0, 1.0


def _train(subject: Subject, factors: parameters.Factors, factor: float) -> tuple[float, float]:
    """The first loss and the mean of the last fifth; infinite where a loss is not finite."""
    batches = subject.batches
    with with_copy(subject) as run:
        names = {id(parameter): name for name, parameter in run.copied.named_parameters()}
        parameters.initialise_(run.model, factors)
        parameters.regroup_(run.optimizer, lambda one: factor * factors(names.get(id(one), ""))[1])
        losses = step_test(run, steps=STEPS, batch_of=None if batches is None else batches.to_train_on).record.losses
    whole = len(losses) == STEPS + 1 and math.isfinite(losses[-1])
    return losses[0], fmean(losses[-STEPS // 5 :]) if whole else math.inf


def _data(subject: Subject) -> str:
    if subject.batches is None:
        return "the one batch, again and again"
    return f"fresh batches of {subject.batches.words}"
