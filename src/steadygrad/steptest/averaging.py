"""Whether less noise mends it: steps from the start with the gradients of several batches averaged, and the same one at a time.

Both see the same batches and are read on others, so that what differs is the noise alone. Where averaging helps, a lower rate
is tried too, which averages over steps. Judges nothing but whether a further try is worth its time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import clone_batch
from steadygrad.objective import Objective
from steadygrad.probe.backward import put_back
from steadygrad.probe.run_probe import scalar
from steadygrad.record.steptest import Averaged, Noise
from steadygrad.rules.read_steptest import informed_fall
from steadygrad.steptest.at_step import gradient_at
from steadygrad.steptest.run_steptest import step_test
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

STEPS = 30
"""Of the averaged kind: as many as show of a rate whether it learns (``cures/learning_rate.py``)."""

MOST = 32
"""Batches that are averaged at most. Of 24 nets that fail by noise and ask for more, 17 are found at 32, and 19 at 64, in twice
the time."""

SECONDS = 10.0
"""Of one of the three tries, at most: as many batches are averaged as fit."""

HELD = 256
"""Samples that all are read on, where there are so many; the 32 of the step test are too few for what noise leaves of a loss."""


@dataclass(frozen=True)
class Several:
    """Batches whose gradients one step averages."""

    batches: Sequence[Any]


def affordable(seconds: float) -> int:
    """How many batches a step may average, where a plain pass takes so long."""
    return min(MOST, int(SECONDS / (STEPS * max(seconds, 1e-6))))


def averaged(subject: Subject, noise: Noise, most: int, worth: float) -> Averaged | None:
    """What averaging brings, of at most so many batches; None where there are too few to take two at a time.

    ``worth``: learned by averaging, from which it is compared with single batches.
    """
    wanted = min(max(2.0, noise.scale), most)
    held, rest = _pools(subject, noise.samples, STEPS * _power_of_two(wanted, most))
    count = _power_of_two(wanted, min(most, len(rest) // 2))
    if count < 2:
        return None
    singles = [rest[at % len(rest)] for at in range(count * STEPS)]
    groups = [Several(singles[at : at + count]) for at in range(0, len(singles), count)]
    outside: list[tuple[Tensor, Tensor | None]] = []
    try:
        with with_copy(subject) as run:
            gradient_at(run, 0, (), outside)
        learned = _learned(subject, groups, held, 1.0)
        if learned < worth:
            return Averaged(count, STEPS, learned)
        alone = _learned(subject, singles, held, 1.0)
        if alone >= learned or not all("lr" in group for group in subject.optimizer.param_groups):
            return Averaged(count, STEPS, learned, alone)
        slower = float(count) if isinstance(subject.optimizer, torch.optim.SGD) else math.sqrt(count)
        return Averaged(count, STEPS, learned, alone, slower, _learned(subject, singles, held, slower))
    finally:
        put_back(outside)


def _power_of_two(wanted: float, most: int) -> int:
    """The least that is enough, or the greatest there may be; 0 for none."""
    return 2 ** min(math.ceil(math.log2(wanted)), most.bit_length() - 1) if most else 0


def _pools(subject: Subject, samples: int | None, wanted: int) -> tuple[list[Any], list[Any]]:
    """Batches to judge on and batches to train on, none of which is in both."""
    batches = subject.batches
    assert batches is not None
    judging = list(batches.unseen)
    more = max(0, math.ceil(HELD / samples) - len(judging)) if samples else 0
    drawn: list[Any] = []
    for step in range(wanted + more):
        batch = batches.to_train_on(step)
        if drawn and batch is drawn[0]:
            break  # There are no others.
        drawn.append(batch)
    more = min(more, len(drawn) // 4)
    return judging + drawn[:more], drawn[more:]


def _learned(subject: Subject, batches: Sequence[Any], held: Sequence[Any], slower: float) -> float:
    """What steps from the start on these batches bring, at a rate so many times lower."""
    with with_copy(subject) as run:
        for group in run.optimizer.param_groups if slower != 1.0 else ():
            group["lr"] = group["lr"] / slower
        seen = step_test(
            replace(run, objective=mean_of(run.objective)),
            steps=len(batches),
            batch_of=batches.__getitem__,
            unseen=held,
        )
    return informed_fall(seen.record)


def mean_of(objective: Objective) -> Objective:
    """The mean loss of several batches, whose gradients are summed up one after the other: as a loop accumulates them."""

    def whole(model: nn.Module, batch: Any) -> tuple[Any, Any]:
        if not isinstance(batch, Several):
            return objective(model, batch)
        count, told = len(batch.batches), 0.0
        for one in batch.batches[:-1]:
            loss = scalar(objective(model, clone_batch(one))[0]) / count
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            told += float(loss.detach())
        returned, output = objective(model, clone_batch(batch.batches[-1]))
        return scalar(returned) / count + told, output

    return whole
