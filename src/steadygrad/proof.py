"""Trial and proof: real training on copies, before and after a cure, with the same data in the same order and the same seeds.

Nothing of the user's is stepped. May rely on cures to treat one more copy for each seed; draws nothing on a screen.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad import numerals
from steadygrad.clip import Clip
from steadygrad.clip.hook import hook_for
from steadygrad.copies.copying import Copied, clone_batch, unwrapped
from steadygrad.copies.randomness import same_randomness, seed_torch
from steadygrad.cures.cured import Cured
from steadygrad.cures.editable_copy import editable_copy_of, rate_of
from steadygrad.cures.evaluate import Options, treat, without_rate
from steadygrad.cures.plan import cure_subject
from steadygrad.errors import BatchError, SubjectError, UserCodeError
from steadygrad.objective import with_loss
from steadygrad.probe.backward import gradients_outside, put_back
from steadygrad.probe.graph import graph_of
from steadygrad.probe.run_probe import probe_copy, scalar
from steadygrad.record.proof import Arm, LayerUpdate, ProofRecord, Run
from steadygrad.report import proof_page
from steadygrad.report.proof import render
from steadygrad.source.inferred_constructions import infer_constructions
from steadygrad.source.user_errors import raised_as_theirs, running_theirs
from steadygrad.steptest.plain_step import needs_closure
from steadygrad.steptest.run_steptest import in_words
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy
from steadygrad.written import seconds

Batches = Callable[[int], Any]
"""The batch of a step, by its number."""


class Proof(ProofRecord):
    """The same training before and after a cure. ``print(proof)`` draws the two curves, and a table of where they end.

    A notebook shows both by itself.
    """

    def __repr__(self) -> str:
        """Return the result on one line."""
        ends = f"loss {self.before.last:.3g} before, {self.after.last:.3g} after"
        word = "proven" if self.proven else "not proven"
        return f"<Proof: {word}, {ends} {numerals.count(self.steps, 'step')}; print it to see the curves>"

    def __str__(self) -> str:
        """Return the report with both curves."""
        return render(self)

    def _repr_html_(self) -> str:
        return proof_page.fragment(self)


@dataclass(frozen=True)
class Stream:
    """The training data: the same in both arms."""

    at: Batches
    words: str


def prove(
    model: nn.Module | Callable[[], nn.Module],
    batch: Any = None,
    loss_fn: Callable[..., Tensor] | None = None,
    *,
    optimizer: OptimizerLike = None,
    clip: Clip | str | None = None,
    seed: int = 0,
    cured: Cured | None = None,
    steps: int = 200,
    seeds: int = 1,
    batches: Iterable[Any] | Batches | None = None,
    budget: float | str | None = None,
) -> Proof:
    """Train ``model`` as it is and cured, side by side, on copies: the same data in the same order, the same seeds.

    Args:
        model: The module, or a function without arguments that makes one: each seed then draws weights of its own, where a
            module begins each training with the weights that it has.
        batch: As for ``check``. Nothing that is given is changed.
        loss_fn: As for ``check``.
        optimizer: As for ``check``.
        clip: As for ``check``.
        seed: As for ``check``.
        cured: The result of ``cure`` for this model; None: a cure is looked for.
        steps: Optimizer steps of each training.
        seeds: Trainings of each, from ``seed`` on.
        batches: Training data of both, repeated from the start at its end: a list, a ``DataLoader``, or a function of the
            step. None: fresh batches where ``batch`` is a loader, else the one batch.
        budget: As for ``cure``, if ``prove`` looks for one.

    Returns:
        ``.proven``, ``.before`` and ``.after`` with the losses of every run; ``print(proof)`` draws both curves.

    Raises:
        SteadygradError: The model cannot be trained; the message says what to do.
        Exception: Whatever the model itself raises.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> hidden = [layer for _ in range(15) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        >>> model = nn.Sequential(*hidden, nn.Linear(16, 4))
        >>> x = torch.randn(64, 16)
        >>> sg.prove(model, (x, x[:, :4].argmax(1)), nn.functional.cross_entropy, steps=50).proven
        True
    """
    if not isinstance(model, nn.Module) and not callable(model):
        raise SubjectError(
            f"the model is {type(model).__name__}, expected a torch.nn.Module or a function that makes one"
        )

    def subject_of(seed: int) -> Subject:
        made = model if isinstance(model, nn.Module) else _made(model, seed)
        return make_subject(made, batch, loss_fn, optimizer=optimizer, seed=seed, before_step=hook_for(clip))

    with raised_as_theirs():
        if cured is None:
            first = subject_of(seed)
            infer_constructions(unwrapped(first.model), sys._getframe(1))
            cured = cure_subject(first, Options(budget=seconds(budget, "budget")))
        return prove_subject(subject_of, cured, steps=steps, seeds=seeds, batches=batches)


def _made(function: Callable[[], Any], seed: int) -> Any:
    with same_randomness():
        seed_torch(seed)
        return function()


def prove_subject(
    subject_of: Callable[[int], Subject],
    cured: Cured,
    *,
    steps: int = 200,
    seeds: int = 1,
    batches: Stream | Iterable[Any] | Batches | None = None,
    progress: Callable[[str], None] | None = None,
) -> Proof:
    """``prove`` for subjects that are put together already: ``subject_of`` gives that of a seed, in which weights may be drawn.

    Every seed is treated as the planner treated the first. Raises ``SubjectError`` for fewer than one step or seed,
    ``BatchError`` for batches that are none or are empty, ``UserCodeError`` for an exception of the model's or of the
    batches' own.
    """
    if steps < 1 or seeds < 1:
        raise SubjectError(f"steps {steps}, seeds {seeds}: expected 1 or more of each")
    stream = batches if isinstance(batches, Stream) else stream_for(subject_of(cured.seed), batches, steps)
    before: list[Run] = []
    after: list[Run] = []
    names = ("", "")
    for seed in range(cured.seed, cured.seed + seeds):
        subject = subject_of(seed)
        treated = _treated(subject, cured, seed)
        if progress is not None:
            progress(f"training before, seed {seed}")
        before.append(train(subject, stream.at, steps, seed))
        if progress is not None:
            progress(f"training after, seed {seed}")
        after.append(train(treated, stream.at, steps, seed))
        names = in_words(subject.optimizer), in_words(treated.optimizer)
    starts = [run.losses[0] for run in (*before, *after) if math.isfinite(run.losses[0])]
    return Proof(
        before=Arm("before", names[0], tuple(before)),
        after=Arm("after", names[1], tuple(after)),
        steps=steps,
        target=min(starts, default=math.nan) / 2,
        data=stream.words,
        cure=cured.taken.candidate.title if cured.taken is not None else "",
        words=cured.words,
    )


def _treated(subject: Subject, cured: Cured, seed: int) -> Subject:
    """The subject of this seed with the same edits and the same rate as the cured one."""
    if seed == cured.seed:
        loss = cured.loss_fn
        own = replace(subject, model=cured.model, optimizer=cured.optimizer)
        return replace(own, objective=with_loss(loss), loss_module=None) if loss is not None else own
    with with_copy(replace(subject, seed=seed), optimizer=False) as run:
        trace = probe_copy(run)
    copy = editable_copy_of(subject, trace)
    if cured.taken is not None:
        treat(copy, without_rate(cured.taken.candidate.edits))
        copy.set_rate(rate_of(cured.optimizer))
    return copy.subject


def train(subject: Subject, batches: Batches, steps: int, seed: int) -> Run:
    """Run ``steps`` real steps on a copy of the subject; the subject is not changed."""
    outside: list[tuple[Tensor, Tensor | None]] = []
    told = (
        "the model, its loss or its optimizer raised this while it was trained; fix it, or give the batches it expects"
    )
    try:
        with running_theirs(told), with_copy(subject) as run:
            seed_torch(seed)
            losses, updates = _steps(run, batches, steps, outside)
            return Run(seed, tuple(losses), _accuracy(run, batches, steps), updates)
    finally:
        put_back(outside)


def _steps(
    run: SubjectCopy, batches: Batches, steps: int, outside: list[tuple[Tensor, Tensor | None]]
) -> tuple[list[float], tuple[LayerUpdate, ...]]:
    """Losses before each step, and what the first step did; ends early at a loss that is not finite."""
    optimizer, copied = run.optimizer, run.copied
    losses: list[float] = []
    updates: tuple[LayerUpdate, ...] = ()
    for step in range(steps):
        start = _weights(copied) if step == 0 else {}

        def closure(step: int = step) -> float:
            optimizer.zero_grad()
            loss = scalar(run.objective(run.model, clone_batch(batches(step)))[0])
            if step == 0 and not outside and loss.grad_fn is not None:
                outside.extend(gradients_outside(graph_of(loss.grad_fn), (p for _, p in copied.named_parameters())))
            loss.backward()  # type: ignore[no-untyped-call]
            if len(losses) == step:
                losses.append(float(loss.detach()))
            return float(loss.detach())

        if needs_closure(optimizer):
            optimizer.step(closure)
        elif math.isfinite(closure()):
            optimizer.step()
        if not math.isfinite(losses[-1]):
            break
        if step == 0:
            updates = tuple(_updates(start, copied))
    return losses, updates


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


def _accuracy(run: SubjectCopy, batches: Batches, steps: int) -> float | None:
    """Share of right answers of the trained copy as it predicts, in evaluation mode."""
    right = total = 0
    run.model.eval()
    with torch.no_grad():
        for step in range(min(steps, ACCURACY_BATCHES)):
            batch = clone_batch(batches(step))
            if not (_is_pair(batch) and isinstance(batch[1], Tensor)):
                return None
            y, output = batch[1], run.objective(run.model, batch)[1]
            classified = isinstance(output, Tensor) and output.dim() == 2 and output.shape[:1] == y.shape
            if y.is_floating_point() or not classified:
                return None
            right += int((output.argmax(1) == y).sum())
            total += len(y)
    return right / total


def stream_for(subject: Subject, batches: Iterable[Any] | Batches | None, steps: int) -> Stream:
    """The batches in a fixed order, drawn once. Raises as ``prove`` does.

    Without ``batches`` they are the subject's own, fresh ones where it has them.
    """
    if batches is None and subject.batches is not None:
        return Stream(subject.batches.to_train_on, f"fresh batches of {subject.batches.words}")
    if batches is None:
        batch = subject.batch
        return Stream(lambda _: batch, f"the one batch, {subject.batch_words}, again and again")
    if callable(batches):
        return Stream(_drawn(batches), "the batches given, by step")
    kept = _kept(batches, steps)
    if not kept:
        raise BatchError("the batches given are empty; give at least one (x, y)")
    if _is_pair(subject.batch):
        for number, one in enumerate(kept):
            if not _is_pair(one):
                raise BatchError(f"batch {number} is {type(one).__name__}, expected (x, y); give a list of such pairs")
    again = ", again from the start" if len(kept) < steps else ""
    return Stream(lambda step: kept[step % len(kept)], f"{numerals.count(len(kept), 'batch')} in order{again}")


def _kept(batches: Iterable[Any], steps: int) -> list[Any]:
    """Draw as many batches as there are steps, once, so that both arms see the same."""
    try:
        draw = iter(batches)
    except TypeError:
        raise BatchError(f"the batches given are {type(batches).__name__}; give a list or a DataLoader") from None
    try:
        return list(itertools.islice(draw, steps))
    except Exception as error:
        raise UserCodeError("the batches raised this when they were drawn") from error


def _drawn(batches: Batches) -> Batches:
    """Return the function with the same random numbers for the same step, whatever the model has drawn meanwhile."""

    def batch(step: int) -> Any:
        with same_randomness():
            seed_torch(step)
            return batches(step)

    return batch


def _is_pair(batch: Any) -> bool:
    return isinstance(batch, (tuple, list)) and len(batch) == 2
