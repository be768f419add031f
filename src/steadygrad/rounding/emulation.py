"""A net that runs with rounded products: a torch-function mode that sees each, and rounds what goes in, comes out and comes back.

Each of the three products of a layer (output, input's gradient, weight's gradient) is of operands rounded for itself, as on
the hardware; sums are exact to float32. Knows calls and formats; judges nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad.probe.calls import COMPOSITES, without_dispatch
from steadygrad.record import Location
from steadygrad.rounding.formats import Recipe, Rounding
from steadygrad.rounding.products import FUSED, Product, Summed, product_of
from steadygrad.source.spans import construction_of, location_of, user_frame
from steadygrad.torch_internals.modes import unseen
from steadygrad.torch_internals.points import MODULE_CALL
from steadygrad.torch_internals.replacing import caller, replaced


@dataclass(frozen=True, slots=True)
class Site:
    """One operation of the source as one module runs it: the same in every pass."""

    module: str
    name: str
    location: Location | None
    weight: str
    """The parameter that it multiplies by ("" = none)."""


Plan = Callable[[Site], Recipe | None]
"""The recipe of an operation; None: it stays as it is."""


Look = Callable[[Site, Product, Tensor], None]
"""Is shown each product with its output."""


_SEEN_INSIDE = COMPOSITES | {func: without_dispatch(func) for func in (Tensor.backward, torch.autograd.backward)}
"""Functions that a mode sees as one call, each in a form in which it sees what runs inside."""


class Products(TorchFunctionMode):
    """Runs the products of a model by a plan, inside ``with products.running(model)``.

    The backward pass belongs inside too: a model may run parts of its forward pass again there (checkpointing).
    """

    def __init__(self, plan: Plan, look: Look | None = None) -> None:
        super().__init__()
        self.fused: dict[str, None] = {}
        """Names of the calls that were left as they are, though they have products inside."""
        self._plan = plan
        self._look = look
        self._stack: list[tuple[nn.Module, bool]] = []
        self._paths: dict[int, str] = {}
        self._weights: dict[int, str] = {}

    @contextmanager
    def running(self, model: nn.Module) -> Iterator[Products]:
        """See every call until the block ends."""
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._weights = {id(parameter): name for name, parameter in model.named_parameters()}
        with replaced(*MODULE_CALL, self._called), self:
            yield self

    def _called(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Stand in for ``nn.Module.__call__``."""
        frame = caller()
        self._stack.append((module, user_frame(frame) is not frame))
        try:
            return original(module, *args, **kwargs)
        finally:
            self._stack.pop()

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SEEN_INSIDE:
            with self:
                return _SEEN_INSIDE[func](*args, **kwargs)
        name = getattr(func, "__name__", "")
        product = product_of(func, name, args, kwargs)
        if product is None:
            if name in FUSED:
                self.fused[name] = None
            return func(*args, **kwargs)
        site = self._site(name, product)
        recipe = self._plan(site)
        output = func(*args, **kwargs) if recipe is None else _rounded(product, recipe)
        if self._look is not None:
            self._look(site, product, output)
        return output

    def _site(self, name: str, product: Product) -> Site:
        module, inside_torch = self._stack[-1] if self._stack else (None, False)
        call = location_of(user_frame(sys._getframe(2)))
        contained = inside_torch and type(module).__module__.startswith("torch.")
        construction = construction_of(module) if module is not None else None
        place = (construction or call) if contained else (call or construction)
        weight = self._weights.get(id(product.second), "") or self._weights.get(id(product.first), "")
        return Site(self._paths.get(id(module), ""), name.strip("_") or name, place, weight)


def _rounded(product: Product, recipe: Recipe) -> Tensor:
    """The call's output by the recipe."""
    kind = product.first.dtype
    output: Tensor = _Multiplied.apply(product.first, product.second, product.multiply, product.summed, recipe)  # type: ignore[no-untyped-call]
    held: Tensor = _Held.apply(product.finish(output), recipe)  # type: ignore[no-untyped-call]
    return held.to(kind)


class _Multiplied(torch.autograd.Function):
    """first · second, and the two products of the backward pass, each of rounded operands."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, multiply: Any, summed: Summed, recipe: Recipe) -> Tensor:
        operand = recipe.operand
        rounded = operand.rounded(first, summed.first), operand.rounded(second, summed.second)
        # Without blocks an operand is rounded the same way in all three products.
        ctx.save_for_backward(first, second, *(() if operand.block else rounded))
        ctx.product = multiply, summed, recipe
        return multiply(*rounded)  # type: ignore[no-any-return]

    @staticmethod
    @unseen
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first, second, *rounded = ctx.saved_tensors
        multiply, summed, recipe = ctx.product
        if not rounded or torch.is_grad_enabled():
            rounded = (
                _round(first, recipe.operand, summed.first_for_second),
                _round(second, recipe.operand, summed.second_for_first),
            )
        for_first = for_second = arrived = None
        if ctx.needs_input_grad[0]:
            arrived = _round(gradient, recipe.gradient, summed.gradient_for_first)
            for_first = _gradient(lambda x: multiply(x, rounded[1]), first, arrived)
        if ctx.needs_input_grad[1]:
            if arrived is None or recipe.gradient.block:
                arrived = _round(gradient, recipe.gradient, summed.gradient_for_second)
            for_second = _gradient(lambda x: multiply(rounded[0], x), second, arrived)
        return for_first, for_second, None, None, None


def _gradient(linear: Callable[[Tensor], Tensor], at: Tensor, arrived: Tensor) -> Tensor:
    """What ``arrived`` is behind a linear function; differentiable itself, where a model asks for it."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        point = at.detach().requires_grad_()
        return torch.autograd.grad(linear(point), point, arrived, create_graph=again)[0]


class _StraightThrough(torch.autograd.Function):
    """A rounded tensor whose gradient passes as it is."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, rounding: Rounding, along: tuple[int, ...]) -> Tensor:
        return rounding.rounded(tensor, along)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient, None, None


def _round(tensor: Tensor, rounding: Rounding, along: tuple[int, ...]) -> Tensor:
    rounded: Tensor = _StraightThrough.apply(tensor, rounding, along)  # type: ignore[no-untyped-call]
    return rounded


class _Held(torch.autograd.Function):
    """An output as it is stored; its gradient is stored in the same format, under the same loss scale."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, recipe: Recipe) -> Tensor:
        ctx.recipe = recipe
        return recipe.output.rounded(output, (-1,))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        recipe = ctx.recipe
        factor = recipe.gradient.factor
        stored = Rounding(recipe.output.element, "none", factor=factor)
        return _round(gradient, stored, (-1,)), None
