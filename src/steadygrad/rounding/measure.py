"""One pass of a net, rounded by a plan or as it is: what the format does to each operand, and to the gradient.

May rely on copies and on the emulation. Puts the copy's buffers back after each pass; judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from steadygrad.copies.copying import Copied, same_buffers
from steadygrad.probe.backward import put_back
from steadygrad.record.precision import OperandRounding
from steadygrad.rounding.emulation import Plan, Products, Site
from steadygrad.rounding.formats import Recipe, Rounding
from steadygrad.rounding.products import Product
from steadygrad.steptest.plain_step import gradients_of
from steadygrad.subject.with_copy import SubjectCopy


@dataclass
class Tally:
    """Sums over the calls of one operand; only elements that are not zero count."""

    elements: int = 0
    flushed: int = 0
    saturated: int = 0
    error: float = 0.0
    square: float = 0.0
    largest: float = 0.0

    def add(self, tensor: Tensor, rounding: Rounding, along: tuple[int, ...]) -> None:
        """Count one tensor."""
        exact = tensor.detach()
        rounded = rounding.rounded(exact, along)
        self.elements += int((exact != 0).sum())
        self.flushed += int(((rounded == 0) & (exact != 0)).sum())
        self.saturated += rounding.beyond(exact, along)
        self.error += _square(rounded.double() - exact.double())
        self.square += _square(exact.double())
        self.largest = max(self.largest, float(exact.abs().amax())) if exact.numel() else self.largest

    def record(self) -> OperandRounding:
        """Return the shares and the error."""
        count = max(self.elements, 1)
        error = math.sqrt(self.error / self.square) if self.square and math.isfinite(self.error) else math.nan
        return OperandRounding(self.flushed / count, self.saturated / count, error)


@dataclass
class Seen:
    """One operation over the calls of a pass."""

    calls: int = 0
    first: Tally = field(default_factory=Tally)
    second: Tally = field(default_factory=Tally)
    gradient: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Pass:
    """One pass: the gradient of each weight, and the squared norm of what arrived at each operation's output."""

    gradients: Mapping[str, Tensor]
    arrived: Mapping[Site, float]
    fused: tuple[str, ...]


def as_it_is(_: Site) -> Recipe | None:
    """The plan that rounds nothing."""
    return None


def one_pass(run: SubjectCopy, plan: Plan, look: Callable[[Site, Product, Tensor], None] | None = None) -> Pass:
    """Forward and backward on the batch, always with the same random numbers."""
    arrived: dict[Site, float] = {}

    def watch(site: Site, product: Product, output: Tensor) -> None:
        def arrives(gradient: Tensor) -> None:
            arrived[site] = arrived.get(site, 0.0) + _square(gradient.detach().double())

        if output.requires_grad:
            output.register_hook(arrives)  # type: ignore[no-untyped-call]
        if look is not None:
            look(site, product, output)

    products = Products(plan, watch)
    outside: list[tuple[Tensor, Tensor | None]] = []
    try:
        with same_buffers(run.model), products.running(run.model):
            gradients_of(run.copied, run.objective, run.batch, run.seed, outside)
        return Pass(dict(_taken(run.copied)), arrived, tuple(products.fused))
    finally:
        put_back(outside)


def _taken(copied: Copied) -> Iterable[tuple[str, Tensor]]:
    for name, parameter in copied.named_parameters():
        if parameter.grad is not None and not parameter.grad.is_sparse:
            yield name, parameter.grad.detach().clone()


def observed(run: SubjectCopy, recipe: Recipe) -> tuple[Pass, dict[Site, Seen]]:
    """A pass of the net as it is, and what the format would do to the operands of each operation, in order."""
    found: dict[Site, Seen] = {}

    def look(site: Site, product: Product, output: Tensor) -> None:
        seen, summed = found.setdefault(site, Seen()), product.summed
        seen.calls += 1
        seen.first.add(product.first, recipe.operand, summed.first)
        seen.second.add(product.second, recipe.operand, summed.second)
        if output.requires_grad:
            output.register_hook(lambda g: seen.gradient.add(g, recipe.gradient, summed.gradient_for_first))  # type: ignore[no-untyped-call]

    return one_pass(run, as_it_is, look), found


def error_of(rounded: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> float:
    """‖rounded − exact‖ ÷ ‖exact‖ over all weights; infinite where something is not finite."""
    difference = sum(
        _square(rounded[name].double() - one.double()) if name in rounded else _square(one)
        for name, one in exact.items()
    )
    whole = sum(_square(one.double()) for one in exact.values())
    if not math.isfinite(difference):
        return math.inf
    return math.sqrt(difference / whole) if whole else math.nan


def cosine_of(rounded: Tensor, exact: Tensor) -> float:
    """Cosine of the angle between two gradients; NaN where one is zero."""
    product = float((rounded.double() * exact.double()).sum())
    size = math.sqrt(_square(rounded.double()) * _square(exact.double()))
    return product / size if size else math.nan


def decades_of(rounded: float, exact: float) -> float:
    """log10 of the ratio of two norms, of their squares; NaN where nothing arrives in the exact net."""
    if not exact:
        return math.nan
    return 0.5 * math.log10(rounded / exact) if rounded else -math.inf


def _square(tensor: Tensor) -> float:
    return float(tensor.square().sum())
