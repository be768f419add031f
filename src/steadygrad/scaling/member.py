"""One member of a family, measured: outputs before the first step, and what each weight's own updates change in them.

A few real steps are taken on a copy. What the first step that reaches a weight does to the outputs of its calls is read along
the weight's gradient: that is the part that adds up as a model grows. The rest of the change is noise, which at small widths
hides the law (Yang et al. 2022, arXiv:2203.03466, appendix D.1, looks at all of the change, of all weights together).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import size_of
from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import SubjectError
from steadygrad.probe.attention import MASKED
from steadygrad.probe.backward import put_back
from steadygrad.probe.calls import SCALINGS
from steadygrad.probe.tape import Tape
from steadygrad.probe.taped import Taped
from steadygrad.record import Location
from steadygrad.scaling.uses import Gradients, Key, Outputs
from steadygrad.steptest.plain_step import one_step
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy


@dataclass(frozen=True)
class Use:
    """The calls of one name that take a weight."""

    shape: tuple[int, ...]
    given: tuple[int, ...]
    """Shape of the first output."""
    location: Location | None
    output: float
    """Root mean square of the outputs before the first step, times the numbers that only multiply them."""
    gain: float
    """The same without the bias ÷ that of what goes in, before the numbers that only multiply it; of an embedding, ``output``."""
    gradient: float
    """Root mean square of the loss's gradient at the outputs, at the first step that brings one."""
    update: float
    """Root mean square of the change of the outputs by that step's change of the weight, times those numbers."""
    relative: float
    """Norm of the weight's change in all steps ÷ norm of the weight."""


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
    packed: bool
    """Whether it makes the keys as well."""


@dataclass(frozen=True)
class Member:
    """One member of the family."""

    names: tuple[str, ...]
    """Of all weights."""
    uses: dict[Key, Use]
    """Those of weights that a step moves."""
    attentions: tuple[Heads, ...]
    operations: tuple[Taped, ...]
    """Of the pass before the first step."""
    computed: tuple[str, ...]
    """Weights that moved and that no layer takes: the layer's own weight is computed from them, as by weight norm."""
    falls: dict[Key, float]
    """Fall of the loss by each weight's change in the first step, in these calls, to first order."""


def measure(subject: Subject, steps: int) -> Member:
    """Take ``steps`` real steps on a copy and measure what they change. Raises ``SubjectError`` where none can be taken."""
    with with_copy(subject) as run:
        weights: dict[str, Tensor] = dict(run.copied.named_parameters())
        operations, given = _outputs(run, weights)
        start = {name: weight.detach().clone() for name, weight in weights.items()}
        walked = _train(run, weights, steps)
        scaled = _Scaled(operations, given.sizes)
        uses: dict[Key, Use] = {}
        computed = dict.fromkeys(name for name, call in given.uses if _computes(name, call))
        for key, use in given.uses.items():
            if key[0] in computed:
                continue
            moved = float((weights[key[0]].detach() - start[key[0]]).double().norm())
            if not moved or use.operation >= len(operations):
                continue
            operation = operations[use.operation]
            after, before = scaled.behind(operation), scaled.before(operation)
            output = math.sqrt(use.squares / use.count) * after if use.count else math.nan
            uses[key] = Use(
                shape=tuple(start[key[0]].shape),
                given=use.shape,
                location=operation.location,
                output=output,
                gain=output if operation.kind == "embedding" else use.gain * before * after,
                gradient=walked.gradient(key),
                update=walked.update(key) * after,
                relative=moved / float(start[key[0]].double().norm()) if start[key[0]].any() else math.nan,
            )
        heads = tuple(_heads(operations))
        return Member(tuple(weights), uses, heads, tuple(operations), tuple(computed), walked.falls)


def _computes(name: str, call: str) -> bool:
    """Return whether a layer's weight is computed from this one: what its own update does to that is not what a layer sees."""
    return ".parametrizations." in f".{name}" or call == "weight_norm"


class _Walk:
    """The first step that brings each use a gradient: its gradient and its change.

    Later ones say more of how far the net has come than of how it grows: wide ones come further, and their gradients turn.
    """

    def __init__(self) -> None:
        self._gradient: dict[Key, float] = {}
        self._update: dict[Key, float] = {}
        self.falls: dict[Key, float] = {}

    def take(self, seen: Gradients, changes: dict[str, Tensor]) -> None:
        """Add one step: what its backward pass saw, and how it changed each weight."""
        self.falls = self.falls or {key: use.along(changes[key[0]]) for key, use in seen.uses.items()}
        for key, use in seen.uses.items():
            change = changes[key[0]]
            if key not in self._gradient and use.squares > 0 and bool(change.any()):
                self._gradient[key] = math.sqrt(use.squares / use.numel)
                self._update[key] = use.change(change)

    def gradient(self, key: Key) -> float:
        return self._gradient.get(key, math.nan)

    def update(self, key: Key) -> float:
        return self._update.get(key, math.nan)


def _train(run: SubjectCopy, weights: dict[str, Tensor], steps: int) -> _Walk:
    outside: list[tuple[Tensor, Tensor | None]] = []
    walk = _Walk()
    try:
        for step in range(steps):
            batches = run.subject.batches
            batch = run.batch if batches is None else batches.at(step)
            before = {name: weight.detach().clone() for name, weight in weights.items()}
            with Gradients(weights) as seen:
                loss, _ = one_step(run.copied, run.objective, batch, run.seed + step, outside, None)
            if not math.isfinite(loss):
                raise SubjectError(f"the loss is {loss} before step {step + 1}; lower the learning rate first")
            walk.take(seen, {name: weight.detach() - before[name] for name, weight in weights.items()})
    finally:
        put_back(outside)
    return walk


def _outputs(run: SubjectCopy, weights: dict[str, Tensor]) -> tuple[list[Taped], Outputs]:
    """The operations of one pass on the batch, and what each gives."""
    tape = Tape({id(weight): name for name, weight in weights.items()}, size_of(run.batch))
    given = Outputs(weights, lambda: len(tape.operations))
    seed_torch(run.seed)
    with given, tape.recording(run.model):
        run.objective(run.model, clone_batch(run.batch))
    for operation in tape.operations:
        operation.node = None
    return tape.operations, given


class _Scaled:
    """The numbers that multiply what goes into a layer and what comes out: of one layer with them, as of one without."""

    def __init__(self, operations: Sequence[Taped], sizes: dict[int, float]) -> None:
        self._operations, self._sizes = operations, sizes
        self._children: dict[int, list[Taped]] = {}
        for operation in operations:
            for parent in operation.parents:
                self._children.setdefault(parent, []).append(operation)

    def behind(self, operation: Taped) -> float:
        """The factor behind a layer; 1 where what it makes meets another activation in a product, as queries and keys do.

        So is one in front of the next layer with a weight, which counts it as its own: muP's readout divides what it takes.
        """
        factor, at = 1.0, operation
        while len(children := self._children.get(at.index, [])) == 1:
            (child,) = children
            if _is_product(child) or (child.weight and child.kind == "linear"):
                return 1.0
            if not (_scales(child) or (child.kind == "shape" and len(child.parents) == 1)):
                break
            factor *= self._factor(at, child)
            at = child
        return factor

    def before(self, operation: Taped) -> float:
        """The factor in front of a layer."""
        factor, at = 1.0, operation
        while len(at.parents) == 1:
            parent = self._operations[at.parents[0]]
            if not (_scales(parent) or (parent.kind == "shape" and len(parent.parents) == 1)):
                break
            if parent.parents:
                factor *= self._factor(self._operations[parent.parents[0]], parent)
            at = parent
        return factor

    def _factor(self, parent: Taped, child: Taped) -> float:
        if not _scales(child):
            return 1.0
        was, now = self._sizes.get(parent.index, math.nan), self._sizes.get(child.index, math.nan)
        return now / was if was > 0 and now > 0 else 1.0


def _scales(operation: Taped) -> bool:
    return operation.kind == "arithmetic" and operation.passes_through and operation.name in SCALINGS


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
            yield Heads(head, product.location, _root_mean_square(logits) / sizes, *_makers(known))


def _makers(known: Sequence[Taped]) -> tuple[str, bool]:
    return known[0].weight, known[0].weight == known[1].weight


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


def _root_mean_square(values: Tensor | None) -> float:
    if values is None:
        return math.nan
    known = values.isfinite() & (values > MASKED)
    return float(values[known].double().square().mean().sqrt()) if bool(known.any()) else math.nan
