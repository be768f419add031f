"""Trial and proof: real training on copies, before and after a cure, with the same data in the same order and the same seeds.

Nothing of the user's is stepped. May rely on cures to treat one more copy for each seed; draws nothing on a screen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from steadygrad.cures.patient import admit, rate_of
from steadygrad.cures.plan import Cured
from steadygrad.cures.trying import treat
from steadygrad.errors import BatchError, SubjectError
from steadygrad.probe.copying import Copied, clone_batch, on_copy
from steadygrad.probe.instrument import probe, scalar
from steadygrad.probe.objective import with_loss
from steadygrad.probe.steptest import in_words
from steadygrad.probe.subject import Subject
from steadygrad.record.proof import Arm, LayerUpdate, Proof, Run

Batches = Callable[[int], Any]
"""The batch of a step, by its number."""


def prove(
    subject_of: Callable[[int], Subject],
    cured: Cured,
    *,
    steps: int = 200,
    seeds: int = 1,
    batches: Iterable[Any] | Batches | None = None,
    progress: Callable[[str], None] | None = None,
) -> Proof:
    """Train before and after the cure on copies.

    Args:
        subject_of: The subject for a seed; built anew where the weights can be drawn anew.
        cured: What the planner took for the first seed; every other seed is treated in the same way.
        steps: Optimizer steps of each training.
        seeds: Trainings of each arm.
        batches: Batches, again from the start when they end, or a function of the step; None = the subject's one batch.
        progress: Told what is going on.

    Raises ``SubjectError`` for fewer than one step or seed, ``BatchError`` for batches that are empty.
    """
    if steps < 1 or seeds < 1:
        raise SubjectError(f"steps {steps}, seeds {seeds}: expected 1 or more of each")
    stream, words = _stream(batches, subject_of(cured.seed).batch, cured.before.setup.batch)
    before: list[Run] = []
    after: list[Run] = []
    names = ("", "")
    for seed in range(cured.seed, cured.seed + seeds):
        subject = subject_of(seed)
        treated = _treated(subject, cured, seed)
        if progress is not None:
            progress(f"training before, seed {seed}")
        before.append(train(subject, stream, steps, seed))
        if progress is not None:
            progress(f"training after, seed {seed}")
        after.append(train(treated, stream, steps, seed))
        names = in_words(subject.optimizer), in_words(treated.optimizer)
    starts = [run.losses[0] for run in (*before, *after) if math.isfinite(run.losses[0])]
    return Proof(
        before=Arm("before", names[0], tuple(before)),
        after=Arm("after", names[1], tuple(after)),
        steps=steps,
        target=min(starts, default=math.nan) / 2,
        data=words,
        cure=cured.taken.candidate.title if cured.taken is not None else "",
        words=cured.words,
    )


def _treated(subject: Subject, cured: Cured, seed: int) -> Subject:
    """The subject of this seed with the same edits and the same rate as the cured one."""
    if seed == cured.seed:
        loss = cured.loss_fn
        own = replace(subject, model=cured.model, optimizer=cured.optimizer)
        return replace(own, objective=with_loss(loss), loss_module=None) if loss is not None else own
    with on_copy(subject.model, None, subject.loss_module) as copied:
        objective = subject.objective if copied.loss is None else with_loss(copied.loss)
        trace = probe(copied.model, objective, subject.batch, seed=seed, loss=copied.loss)
    patient = admit(subject, trace)
    if cured.taken is not None:
        treat(patient, cured.taken.candidate.edits)
        patient.set_rate(rate_of(cured.optimizer))
    return patient.subject


def train(subject: Subject, batches: Batches, steps: int, seed: int) -> Run:
    """``steps`` real steps on a copy of the subject; the subject is not changed."""
    with on_copy(subject.model, subject.optimizer, subject.loss_module) as copied:
        if copied.optimizer is None:
            raise SubjectError("the optimizer cannot be copied, so nothing can be trained beside it")
        objective = subject.objective if copied.loss is None else with_loss(copied.loss)
        losses: list[float] = []
        updates: tuple[LayerUpdate, ...] = ()
        torch.manual_seed(seed)
        for step in range(steps):
            start = _weights(copied) if step == 0 else {}

            def closure(step: int = step) -> float:
                assert copied.optimizer is not None
                copied.optimizer.zero_grad()
                loss = scalar(objective(copied.model, clone_batch(batches(step)))[0])
                loss.backward()  # type: ignore[no-untyped-call]
                return float(loss.detach())

            losses.append(closure())
            if not math.isfinite(losses[-1]):
                break
            copied.optimizer.step(closure if isinstance(copied.optimizer, torch.optim.LBFGS) else None)
            if step == 0:
                updates = tuple(_updates(start, copied))
        return Run(seed, tuple(losses), _accuracy(copied, objective, batches, steps), updates)


def _weights(copied: Copied) -> dict[str, Tensor]:
    return {n: p.detach().clone() for n, p in copied.named_parameters() if p.requires_grad and p.dim() > 1}


def _updates(start: dict[str, Tensor], copied: Copied) -> Iterator[LayerUpdate]:
    now = dict(copied.named_parameters())
    for name, weight in start.items():
        size = float(weight.double().norm())
        if size > 0:
            yield LayerUpdate(name, float((now[name].detach() - weight).double().norm()) / size)


ACCURACY_BATCHES = 10
"""Batches over which accuracy is taken, the first ones of the stream."""


def _accuracy(copied: Copied, objective: Any, batches: Batches, steps: int) -> float | None:
    right = total = 0
    with torch.no_grad():
        for step in range(min(steps, ACCURACY_BATCHES)):
            batch = clone_batch(batches(step))
            if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor)):
                return None
            y = batch[1]
            output = objective(copied.model, batch)[1]
            if (
                y.is_floating_point()
                or not isinstance(output, Tensor)
                or output.shape[:1] != y.shape
                or output.dim() != 2
            ):
                return None
            right += int((output.argmax(1) == y).sum())
            total += len(y)
    return right / total


def _stream(batches: Iterable[Any] | Batches | None, batch: Any, described: str) -> tuple[Batches, str]:
    if batches is None:
        return (lambda _: batch), f"the one batch ({described}) again and again"
    if callable(batches):
        return batches, "the batches given, by step"
    kept = list(itertools.islice(batches, 10_000))
    if not kept:
        raise BatchError("the batches given are empty; give at least one (x, y)")
    return (lambda step: kept[step % len(kept)]), f"{len(kept)} batches in order, again from the start"
