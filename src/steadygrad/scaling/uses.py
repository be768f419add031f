"""Where weights are used: what a call with a weight gives, and the gradient that each use gives the weight.

Two modes that see every call. ``Outputs``, beneath the probe's tape, measures what calls give. ``Gradients`` hands a call an
alias of each weight, whose gradient is that of this use alone: a weight that embeds and reads out is known twice. They
measure tensors; they know no size of a model and judge nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from steadygrad.copies.nested import first_of, tensors_in
from steadygrad.probe.attention import MASKED
from steadygrad.probe.operation_kinds import kind_of
from steadygrad.torch_internals.tensors import tree_map

Key = tuple[str, str]
"""The name of a weight, and the call that takes it: "embedding", "linear"."""

Move = Callable[[Tensor], Tensor]
"""What turned a weight into what a call takes: a transposition, a slice."""


ROUNDING = 1e-10
"""Square of 1e-5: a sum of float32 numbers that cancel leaves 1e-7 of them, and some more where many are summed."""


@dataclass(slots=True)
class Given:
    """All calls of one name that take one weight: what they give."""

    operation: int
    """The tape's index of the first."""
    shape: tuple[int, ...]
    """Of the first output."""
    gain: float
    """Root mean square of what the first gives without its bias ÷ that of what it takes; NaN where it takes only choices."""
    squares: float = 0.0
    """Sum over the outputs."""
    count: int = 0
    """Elements in that sum."""


@dataclass(slots=True)
class Gradient:
    """The same calls in a backward pass."""

    kind: str
    squares: float = 0.0
    """Of the loss's gradient at the outputs, summed."""
    numel: int = 0
    """Elements of the outputs."""
    taken: float = 0.0
    """Sum of squares of what they take beside weights; of an embedding, which takes choices, their number."""
    parts: list[tuple[Move | None, Tensor]] = field(default_factory=list)
    """The weight's gradient by these calls, each with what was moved before."""

    @property
    def own(self) -> float:
        """Norm of the weight's gradient by these calls; where it is moved in several ways, of all together as if apart."""
        return math.sqrt(sum(float(own.double().square().sum()) for _, own in self.parts))

    def along(self, change: Tensor) -> float:
        """The fall of the loss that this change of the weight brings by these calls, to first order."""
        return -sum(float(((change if move is None else move(change)) * own).sum()) for move, own in self.parts)

    def change(self, of: Tensor) -> float:
        """Root mean square of the change of the outputs that this change of the weight brings.

        Of a matrix, the part along the weight's gradient counts, in full on all that the calls take: it is what adds up as a
        model grows. NaN where the gradient is no more than rounding leaves, as that of a key's bias.
        """
        own = self.own
        if own**2 <= ROUNDING * self.squares:
            return math.nan
        if of.dim() < 2 or self.kind not in ("linear", "embedding", "recurrent"):
            return float(of.double().square().mean().sqrt())
        if self.kind == "recurrent":
            # What the calls take is not known of each step: the way the outputs' own gradient goes is.
            return abs(self.along(of)) / math.sqrt(self.squares * self.numel)
        return abs(self.along(of)) / own * math.sqrt(self.taken / self.numel)


class _Watch(TorchFunctionMode):
    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self._names = {id(weight): name for name, weight in weights.items()}
        self._moved: dict[int, tuple[Tensor, str, Move]] = {}

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        called = getattr(func, "__name__", "")
        if not torch.is_grad_enabled() or (called.endswith("_") and not called.endswith("__")):
            return func(*args, **kwargs)
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        weights = [one for one in tensors if self._name(one)]
        if len(tensors) == len(weights) == 1 and (called == "__get__" or kind_of(called) == "shape"):
            output = func(*args, **kwargs)
            self._moves(weights[0], func, args, kwargs, output)
            return output
        others = [one for one in tensors if not self._name(one)]
        return self.call(func, called.strip("_"), args, kwargs, weights, others)

    def call(self, func: Any, called: str, args: Any, kwargs: Any, weights: list[Tensor], others: list[Tensor]) -> Any:
        raise NotImplementedError

    def _name(self, tensor: Tensor) -> str:
        moved = self._moved.get(id(tensor))
        return moved[1] if moved is not None else self._names.get(id(tensor), "")

    def _moves(self, weight: Tensor, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """Follow a weight through what only moves its numbers."""
        before = self._moved[id(weight)][2] if id(weight) in self._moved else None
        for index, one in enumerate(tensors_in(output)):
            if one.grad_fn is None or id(one) in self._names:
                continue

            def move(values: Tensor, index: int = index) -> Tensor:
                values = values if before is None else before(values)
                given, named = tree_map(lambda arg: values if arg is weight else arg, (args, kwargs))
                return list(tensors_in(func(*given, **named)))[index]

            self._moved[id(one)] = one, self._name(weight), move


class Outputs(_Watch):
    """What calls give in a pass under a tape that ``position`` says the next index of."""

    def __init__(self, weights: dict[str, Tensor], position: Callable[[], int]) -> None:
        super().__init__(weights)
        self.uses: dict[Key, Given] = {}
        self.sizes: dict[int, float] = {}
        """Root mean square of what each call gives, by the tape's index."""
        self._position = position

    def call(self, func: Any, called: str, args: Any, kwargs: Any, weights: list[Tensor], others: list[Tensor]) -> Any:
        output = func(*args, **kwargs)
        first = first_of(output)
        if first is None or first.grad_fn is None:
            return output
        squares, count = _squares(first)
        self.sizes[self._position()] = math.sqrt(squares / count) if count else math.nan
        for name in dict.fromkeys(map(self._name, weights)):
            if (name, called) not in self.uses:
                gain = _gain(func, args, kwargs, weights, others) if kind_of(called) == "linear" else math.nan
                self.uses[name, called] = Given(self._position(), tuple(first.shape), gain)
            use = self.uses[name, called]
            use.squares, use.count = use.squares + squares, use.count + count
        return output


class Gradients(_Watch):
    """What a backward pass gives each use of each weight."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__(weights)
        self.uses: dict[Key, Gradient] = {}

    def call(self, func: Any, called: str, args: Any, kwargs: Any, weights: list[Tensor], others: list[Tensor]) -> Any:
        if not weights:
            return func(*args, **kwargs)
        uses = {
            self._name(one): self.uses.setdefault((self._name(one), called), Gradient(kind_of(called)))
            for one in weights
        }
        aliases = {id(one): self._alias(one, uses[self._name(one)]) for one in weights}
        args, kwargs = tree_map(lambda one: aliases.get(id(one), one), (args, kwargs))
        output = func(*args, **kwargs)
        first = first_of(output)
        if first is not None and first.requires_grad:
            taken = _taken(others)
            for use in uses.values():
                use.numel, use.taken = use.numel + first.numel(), use.taken + taken
            first.register_hook(lambda gradient: _add_squares(uses.values(), gradient))  # type: ignore[no-untyped-call]
        return output

    def _alias(self, weight: Tensor, use: Gradient) -> Tensor:
        alias = weight.view_as(weight)
        if alias.requires_grad:
            move = self._moved[id(weight)][2] if id(weight) in self._moved else None
            alias.register_hook(lambda gradient: use.parts.append((move, gradient)))  # type: ignore[no-untyped-call]
        return alias


def _add_squares(uses: Any, gradient: Tensor) -> None:
    added, _ = _squares(gradient)
    for use in uses:
        use.squares += added


def _taken(others: list[Tensor]) -> float:
    real = [one for one in others if one.is_floating_point()]
    if real:
        return _squares(max(real, key=Tensor.numel))[0]
    return float(max((one.numel() for one in others), default=0))


@torch.no_grad()
def _gain(func: Any, args: Any, kwargs: Any, weights: list[Tensor], others: list[Tensor]) -> float:
    """What a layer's matrix does to the size of what it takes: a bias would hide that where it is large beside it."""
    biases = {id(one): torch.zeros_like(one) for one in weights if one.dim() == 1}
    real = [one for one in others if one.is_floating_point()]
    if not real or len(biases) == len(weights):
        return math.nan
    args, kwargs = tree_map(lambda one: biases.get(id(one), one), (args, kwargs))
    output = first_of(func(*args, **kwargs))
    assert output is not None
    given, count = _squares(output)
    taken, of = _squares(max(real, key=Tensor.numel))
    return math.sqrt(given / count / (taken / of)) if count and taken else math.nan


@torch.no_grad()
def _squares(values: Tensor) -> tuple[float, int]:
    """Sum of squares and count of the finite numbers that no mask has put there."""
    values = values.detach()
    if values.is_sparse or not values.is_floating_point():
        return 0.0, 0
    known = values.isfinite() & (values > MASKED)
    return float(values.where(known, 0).double().square().sum()), int(known.sum())
