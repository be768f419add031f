"""One member of a family, measured: outputs before the first step, and what each weight's own update changes in them.

A few real steps are taken on a copy. Then the weights are put back, and each is given its update alone: what that changes in
its own operation's output is its own doing, and none of what its neighbours did (Yang et al. 2022, arXiv:2203.03466, appendix
D.1, looks at all updates together).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steadygrad.copies.copying import Copied, clone_batch
from steadygrad.copies.nested import size_of
from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import SubjectError
from steadygrad.probe.attention import MASKED
from steadygrad.probe.backward import put_back
from steadygrad.probe.tape import Tape
from steadygrad.probe.taped import Taped
from steadygrad.record import Location
from steadygrad.steptest.plain_step import one_step
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy


@dataclass(frozen=True)
class Use:
    """The first operation that multiplies by a weight."""

    shape: tuple[int, ...]
    fan_in: int
    location: Location | None
    output: float
    """Root mean square of the output before the first step."""
    update: float
    """Root mean square of the change that the weight's update alone makes there."""


@dataclass(frozen=True)
class Heads:
    """One attention before the first step."""

    size: int
    """Of a head: the numbers that a query and a key have in common."""
    location: Location | None
    logits: float
    """Root mean square of the logits ÷ (that of the queries × that of the keys)."""
    queries: str
    """The weight that makes the queries, or them and more."""


@dataclass(frozen=True)
class Member:
    """One member of the family."""

    uses: dict[str, Use]
    """By the name of the weight; those that a step moves."""
    attentions: tuple[Heads, ...]


def measure(subject: Subject, steps: int) -> Member:
    """Take ``steps`` real steps on a copy and measure what they change. Raises ``SubjectError`` where none can be taken."""
    with with_copy(subject) as run:
        before = _forward(run)
        start = {name: p.detach().clone() for name, p in run.copied.named_parameters()}
        _train(run, steps)
        trained = {name: p.detach().clone() for name, p in run.copied.named_parameters()}
        _put(run.copied, start)
        uses: dict[str, Use] = {}
        for name, first in _first_uses(before).items():
            if torch.equal(trained[name], start[name]):
                continue
            _put(run.copied, {name: trained[name]})
            after = _forward(run)[first]
            _put(run.copied, {name: start[name]})
            operation = before[first]
            uses[name] = Use(
                shape=tuple(start[name].shape),
                fan_in=operation.fan_in or 0,
                location=operation.location,
                output=_root_mean_square(operation.sample),
                update=_change(operation.sample, after.sample),
            )
        return Member(uses, tuple(_heads(before)))


def _train(run: SubjectCopy, steps: int) -> None:
    outside: list[tuple[Tensor, Tensor | None]] = []
    try:
        for step in range(steps):
            batches = run.subject.batches
            batch = run.batch if batches is None else batches.at(step)
            loss, _ = one_step(run.copied, run.objective, batch, run.seed + step, outside, None)
            if not math.isfinite(loss):
                raise SubjectError(f"the loss is {loss} before step {step + 1}; lower the learning rate first")
    finally:
        put_back(outside)


@torch.no_grad()
def _put(copied: Copied, values: dict[str, Tensor]) -> None:
    for name, parameter in copied.named_parameters():
        if name in values:
            parameter.copy_(values[name])


def _forward(run: SubjectCopy) -> list[Taped]:
    """The operations of one pass on the batch, always with the same random numbers."""
    names = {id(parameter): name for name, parameter in run.copied.named_parameters()}
    tape = Tape(names, size_of(run.batch))
    seed_torch(run.seed)
    with tape.recording(run.model):
        run.objective(run.model, clone_batch(run.batch))
    for operation in tape.operations:
        operation.node = None
    return tape.operations


def _first_uses(operations: Sequence[Taped]) -> dict[str, int]:
    found: dict[str, int] = {}
    for operation in operations:
        if operation.weight and operation.sample is not None:
            found.setdefault(operation.weight, operation.index)
    return found


def _heads(operations: Sequence[Taped]) -> Iterator[Heads]:
    """Each attention whose logits, queries and keys were seen."""
    for operation in operations:
        if operation.attention is None:
            continue
        product: Taped | None = operation
        logits: Tensor | None = operation.attention.rows
        if not operation.attention.logits:
            product = _made_by(operations, operation.parents[:1], _is_product)
            logits = operations[operation.parents[0]].sample if operation.parents else None
        if product is None:
            continue
        makers = [_made_by(operations, (parent,), lambda one: bool(one.weight)) for parent in product.parents[:2]]
        known = [one for one in makers if one is not None]
        if len(known) == 2:
            sizes = math.prod(_root_mean_square(one.sample) for one in known)
            head = operations[product.parents[0]].shape[-1]
            yield Heads(head, product.location, _root_mean_square(logits) / sizes, known[0].weight)


def _is_product(operation: Taped) -> bool:
    return operation.kind == "linear" and not operation.weight and len(operation.parents) > 1


def _made_by(operations: Sequence[Taped], start: Iterable[int], wanted: Callable[[Taped], bool]) -> Taped | None:
    """The nearest operation that is wanted, through what moves, sums or scales its output alone."""
    waiting = list(start)
    while waiting:
        operation = operations[waiting.pop(0)]
        if wanted(operation):
            return operation
        if operation.kind in ("shape", "arithmetic", "dropout"):
            waiting.extend(operation.parents)
    return None


def _change(before: Tensor | None, after: Tensor | None) -> float:
    if before is None or after is None or before.shape != after.shape:
        return math.nan
    return _root_mean_square(after.double() - before.double(), where=before)


def _root_mean_square(values: Tensor | None, where: Tensor | None = None) -> float:
    if values is None:
        return math.nan
    known = values.isfinite() & ((values if where is None else where) > MASKED)
    return float(values[known].double().square().mean().sqrt()) if bool(known.any()) else math.nan
