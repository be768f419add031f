"""The step test: a few real steps of the real optimizer on a copy, on fresh batches or on the one there is.

A verdict on one pass alone cannot be right, because the learning rate decides too. On one batch every step draws the same
random numbers, so that what is compared is the same function. Writes a ``StepTest`` and each parameter's first update.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from steadygrad.copies.copying import Copied, clone_batch
from steadygrad.copies.nested import first_tensor, size_of
from steadygrad.copies.randomness import seed_torch
from steadygrad.objective import Objective
from steadygrad.probe.backward import put_back
from steadygrad.probe.run_probe import scalar
from steadygrad.record import StepTest
from steadygrad.record.steptest import Unseen
from steadygrad.steptest.clipped import clipped, clips_of
from steadygrad.steptest.constant_answers import (
    constant_losses,
    exchange_targets,
    judges_alone,
    reads_target,
    spread_of,
)
from steadygrad.steptest.first_update import decay_of, first_update
from steadygrad.steptest.own_targets import loss_against_others, loss_of_mean_answer
from steadygrad.steptest.plain_step import all_zero, one_step
from steadygrad.subject.with_copy import SubjectCopy

WORTH_TELLING = 10.0
"""Seconds that steps take together from which their progress shows how many are left."""

LEAP = 0.3
"""Rise of a step's loss above all before, as a share of it, at which the unseen batches are looked at in between."""
EXCHANGES = 4
"""Ways in which targets are exchanged between samples; one alone is as noisy as the batch is small."""


@dataclass(frozen=True)
class Stepped:
    """The results of the step test: its record, the first update of every parameter, and the plain cost of a step."""

    record: StepTest
    update_ratio: dict[str, float]
    seconds: float
    """Median wall-clock time of one plain forward, backward and step."""
    silent: int
    """The number of last steps with gradients of exactly zero."""


def step_test(
    run: SubjectCopy,
    *,
    steps: int,
    progress: Callable[[str], None] | None = None,
    give_up: Callable[[list[float]], bool] | None = None,
    batch_of: Callable[[int], Any] | None = None,
    unseen: Sequence[Any] = (),
    go_on: Callable[[Stepped], int] | None = None,
    kept: int = 0,
    few: Sequence[int] = (),
    enough: Callable[[Stepped], bool] = lambda _: False,
) -> Stepped:
    """Train the copy for ``steps`` steps. The copy is changed; what it was copied from is not.

    It ends early, as diverged, at a loss that is not finite or where ``give_up`` says so of the losses so far. Every step
    is taken on the subject's batch, or on what ``batch_of`` gives for its number. What they brought is read on that batch, or
    on those that are ``unseen``. ``go_on`` is shown what those steps brought and says how many there shall be in all, until
    it wants no more; the record then keeps what the first ``steps`` brought as well, and what ``kept`` brought.
    ``enough`` is shown what each ``few`` of the first brought, and says whether they shall be all.
    """
    outside: list[tuple[Tensor, Tensor | None]] = []
    walk = _Walk(run, outside, _original(run.copied), list(unseen))
    try:
        if unseen:
            walk.unseen_before, walk.first_outputs = _look(walk, unseen)
        for fewer in few:
            if not _go_on(walk, fewer, progress, give_up, batch_of):
                break
            if enough(seen := _looked(walk, fewer)):
                return seen
        else:
            _go_on(walk, steps, progress, give_up, batch_of)
        first = seen = _looked(walk, steps)
        while go_on is not None and len(walk.losses) == seen.record.steps:
            more = go_on(seen)
            if more <= seen.record.steps:
                break
            _go_on(walk, more, progress, give_up, batch_of)
            hundred = seen.record if seen.record.steps == kept else seen.record.hundred
            later = _looked(walk, more)
            seen = replace(later, record=replace(later.record, early=first.record, hundred=hundred))
        return seen
    finally:
        put_back(outside)


@dataclass
class _Walk:
    """The steps so far: what they start from, and what they have shown."""

    run: SubjectCopy
    outside: list[tuple[Tensor, Tensor | None]]
    original: dict[str, Tensor]
    unseen: list[Any]
    losses: list[float] = field(default_factory=list)
    """Before each step."""
    first_outputs: list[Any] = field(default_factory=list)
    """Before the first step, of what the outcome is read on."""
    unseen_before: float = math.nan
    unseen_greatest: float = -math.inf
    highest: float = -math.inf
    """Loss of a step above which, by ``LEAP``, it has leapt: fresh batches differ, so the unseen ones are looked at then."""
    seconds: list[float] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    predicted: float = 0.0
    decay: float = 0.0
    norms: list[float] = field(default_factory=list)
    """Of the first gradient, before and after a clip, where there is one."""
    silent: int = 0
    """The number of last steps with gradients of exactly zero."""


def _go_on(
    walk: _Walk,
    steps: int,
    progress: Callable[[str], None] | None,
    give_up: Callable[[list[float]], bool] | None,
    batch_of: Callable[[int], Any] | None,
) -> bool:
    """Take steps until there are so many in all; False where one before was the last that makes sense."""
    for step in range(len(walk.losses), steps):
        if progress is not None:
            left = fmean(walk.seconds) * (steps - step) if walk.seconds else 0.0
            told = f", about {left:.0f} s left" if left > WORTH_TELLING else ""
            progress(f"step test, step {step + 1} of {steps}{told}")
        began = time.perf_counter()
        batch, seed = (walk.run.batch, walk.run.seed) if batch_of is None else (batch_of(step), walk.run.seed + step)
        norms = walk.norms if step == 0 and clips_of(walk.run.optimizer) else None
        seen, output = one_step(walk.run.copied, walk.run.objective, batch, seed, walk.outside, norms)
        walk.seconds.append(time.perf_counter() - began)
        walk.losses.append(seen)
        if step == 0 and not walk.unseen:
            walk.first_outputs = [output]
        if not math.isfinite(seen) or (give_up is not None and give_up(walk.losses)):
            return False
        if walk.unseen and step and seen - walk.highest > LEAP * abs(walk.highest):
            walk.unseen_greatest = max(walk.unseen_greatest, _look(walk, walk.unseen)[0])
        walk.highest = max(walk.highest, seen, walk.unseen_before)
        walk.silent = walk.silent + 1 if all_zero(walk.run.copied) else 0
        if step == 0:
            walk.ratios, walk.predicted = first_update(walk.run.copied, walk.original)
            walk.decay = decay_of(walk.run.copied, walk.original)
    return True


def _look(walk: _Walk, batches: Sequence[Any]) -> tuple[float, list[Any]]:
    """Mean loss of the batches, and their outputs, as the model is now and as it trains."""
    losses, outputs = [], []
    for batch in batches:
        seed_torch(walk.run.seed)
        # With gradients enabled: a model may need them in its forward, as a gradient penalty or a force does.
        loss, output = walk.run.objective(walk.run.model, clone_batch(batch))
        losses.append(float(scalar(loss).detach()))
        tensor = first_tensor(output)
        outputs.append(tensor.detach() if tensor is output and tensor is not None else output)
    return fmean(losses), outputs


def _looked(walk: _Walk, steps: int) -> Stepped:
    """Read the loss once more on its batch, unless the steps ended early."""
    losses, seen = list(walk.losses), walk.unseen or [walk.run.batch]
    constants: list[float] | None = None
    unseen = spread = None
    if losses and math.isfinite(losses[-1]) and len(losses) == steps:
        after, outputs = _look(walk, seen)
        losses.append(after)
        if not (walk.unseen and judges_alone(walk.run.objective, seen[0], outputs[0])):
            constants = constant_losses(walk.run.objective, seen, [walk.first_outputs, outputs])
        spread = spread_of(outputs, [size_of(batch) for batch in seen])
        if walk.unseen:
            constant = _constant(walk, seen) if constants is None else constants[1]
            exchanged = _against_others(walk, seen) if constant is None else None
            greatest = max(walk.unseen_before, walk.unseen_greatest, after)
            unseen = Unseen(walk.unseen_before, after, constant, exchanged, greatest)
    first = walk.unseen_before if walk.unseen else losses[0]
    record = StepTest(
        steps=steps,
        optimizer=in_words(walk.run.optimizer),
        losses=tuple(losses),
        predicted_first=walk.predicted / (abs(losses[0]) or 1.0),
        output_spread_after=spread,
        constant_fall=None if constants is None else (constants[0] - constants[1]) / (abs(first) or 1.0),
        decay=walk.decay,
        clipped=clipped(walk.run.optimizer, walk.norms),
        unseen=unseen,
        optimizer_class=type(walk.run.optimizer).__name__,
    )
    return Stepped(record, walk.ratios, sorted(walk.seconds)[len(walk.seconds) // 2], walk.silent)


def _constant(walk: _Walk, batches: Sequence[Any]) -> float | None:
    """Mean loss of the mean answer in a model that makes its own loss; None where that has none."""
    losses = _losses(walk, batches, loss_of_mean_answer)
    return fmean(losses) if losses else None


def _against_others(walk: _Walk, batches: Sequence[Any]) -> float | None:
    """Mean loss where every sample is held against the target of another one; None where the targets are not known."""
    losses: list[float] = []
    # A loss that is made of the output alone is the same with any target, which says nothing of the model.
    seed_torch(walk.run.seed)
    read = reads_target(walk.run.objective, walk.run.model, batches[0])
    for by in range(1, 1 + EXCHANGES):
        others = [exchange_targets(batch, by) for batch in batches] if read else [None]
        known = None not in others
        losses += [_look(walk, others)[0]] if known else _losses(walk, batches, partial(loss_against_others, by=by))
    return fmean(losses) if losses else None


def _losses(
    walk: _Walk, batches: Sequence[Any], measure: Callable[[Objective, nn.Module, Any], float | None]
) -> list[float]:
    """Call ``measure`` for each batch, from the same seed each time; leave out batches for which it gives nothing."""
    losses: list[float] = []
    for batch in batches:
        seed_torch(walk.run.seed)
        loss = measure(walk.run.objective, walk.run.model, batch)
        losses += [] if loss is None else [loss]
    return losses


def _original(copied: Copied) -> dict[str, Tensor]:
    """Every parameter as it is before the first step: the user's own, or what the probe has made of a lazy one."""
    named = copied.named_parameters()
    lazy = {n: p.detach().clone() for n, p in named if isinstance(copied.original.get(n), UninitializedTensorMixin)}
    return {**copied.original, **lazy}


def in_words(optimizer: torch.optim.Optimizer) -> str:
    """ "AdamW, learning rate 0.001, clip norm:1"; of several groups, the range of rates."""
    return ", ".join([_rate_in_words(optimizer), *(f"clip {hook.clip}" for hook in clips_of(optimizer))])


def _rate_in_words(optimizer: torch.optim.Optimizer) -> str:
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups if "lr" in group})
    name = type(optimizer).__name__
    if not rates:
        return name
    rate = f"{rates[0]:.3g}" if len(rates) == 1 else f"{rates[0]:.3g} to {rates[-1]:.3g}"
    momentum = optimizer.param_groups[0].get("momentum")
    return f"{name}, learning rate {rate}" + (f", momentum {momentum:g}" if momentum else "")
