"""Weights wherever they are held: visited in the order in which a forward pass multiplies by them, and written.

A weight may be a parameter, or computed from others by a parametrisation or by ``weight_norm``'s hook; it may be tied,
grouped or transposed. ``visit`` runs the model once and hands each to a function, so that a layer is set on the output of
those that were set before it. Knows layouts; knows no scheme of initialisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from steadygrad.torch_internals.tracing import computed_once

_KINDS = {
    "linear": "linear",
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), "convolution"),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), "transposed"),
    **dict.fromkeys(("matmul", "__matmul__", "mm"), "product"),
}


@dataclass
class Held:
    """A weight and a bias as one call uses them."""

    name: str
    """state_dict name of the weight, or of the module that computes it."""
    kind: str
    """ "linear", "convolution", "transposed", "product"."""
    weight: Tensor
    bias: nn.Parameter | None
    groups: int
    module: nn.Module | None
    """The module that computes the weight, where no parameter is the weight itself."""
    call: Callable[[Tensor], Tensor]
    """The call's result with another weight (and the bias as it is now)."""

    @property
    def frozen(self) -> bool:
        """Whether the user asked that it stays as it is."""
        parts = [self.weight] if self.module is None else list(self.module.parameters())
        return not any(part.requires_grad for part in parts)

    @property
    def unit_dimension(self) -> int:
        """Dimension of the output in which its units lie."""
        return -1 if self.kind in ("linear", "product") else 1

    @property
    def units(self) -> int:
        if self.kind == "product":
            return self.weight.shape[-1]
        return self.weight.shape[1] * self.groups if self.kind == "transposed" else self.weight.shape[0]

    @property
    def fan_in(self) -> int:
        """Inputs of one unit."""
        if self.kind == "product":
            return self.weight.shape[-2]
        if self.kind == "transposed":
            return self.weight.shape[0] // self.groups * self.weight[0, 0].numel()
        return self.weight[0].numel()

    @property
    def fan_out(self) -> int:
        """Outputs that one input reaches."""
        if self.kind == "linear":
            return self.weight.shape[0]
        if self.kind == "product":
            return self.weight.shape[-1]
        kernel = self.weight[0, 0].numel()
        return (self.weight.shape[1] if self.kind == "transposed" else self.weight.shape[0] // self.groups) * kernel

    def matrices(self) -> Tensor:
        """The weight as (groups, units of a group, inputs of a channel, kernel...): one layout for all kinds."""
        w = self.weight.detach()
        if self.kind == "linear":
            return w[None]
        if self.kind == "product":
            return w.transpose(-1, -2).reshape(1, -1, w.shape[-2]) if w.dim() == 2 else w.transpose(-1, -2)
        if self.kind == "transposed":
            split = w.reshape(self.groups, w.shape[0] // self.groups, *w.shape[1:])
            return split.transpose(1, 2)
        return w.reshape(self.groups, w.shape[0] // self.groups, *w.shape[1:])

    def write(self, matrices: Tensor) -> None:
        """Make the weight what ``matrices`` (in the layout of ``matrices()``) says."""
        if self.kind == "linear":
            value = matrices[0]
        elif self.kind == "product":
            value = matrices.transpose(-1, -2).reshape(self.weight.shape)
        elif self.kind == "transposed":
            value = matrices.transpose(1, 2).reshape(self.weight.shape)
        else:
            value = matrices.reshape(self.weight.shape)
        write_weight(self, value.to(self.weight.dtype))

    def write_bias(self, value: Tensor | float) -> None:
        """Fill the bias, where there is one."""
        if self.bias is not None and self.bias.requires_grad:
            with torch.no_grad():
                if isinstance(value, Tensor):
                    self.bias.copy_(value.reshape(self.bias.shape))
                else:
                    self.bias.fill_(value)


def write_weight(held: Held, value: Tensor) -> None:
    """Copy ``value`` into the weight, through whatever computes it; ``held.weight`` is what came of it."""
    module = held.module
    with torch.no_grad():
        if module is None:
            held.weight.detach().copy_(value)
            return
        if parametrize.is_parametrized(module, "weight"):
            try:
                module.weight = value
            except NotImplementedError:
                return  # A parametrisation without an inverse keeps the weight that it has.
            held.weight = module.weight.detach()
            return
        direction, size = module.weight_v, module.weight_g
        assert isinstance(direction, Tensor)
        assert isinstance(size, Tensor)
        direction.copy_(value)
        over = [d for d in range(value.dim()) if size.shape[d] == 1] or list(range(value.dim()))
        size.copy_(value.norm(dim=over, keepdim=True).reshape(size.shape))
        held.weight = value


Visitor = Callable[[Held], None]


def visit(model: nn.Module, run: Callable[[nn.Module], Any], visitor: Visitor) -> int:
    """Run the model, and call ``visitor`` at the first use of every weight; how many there were.

    The output of the call, and so all that follows, is computed with the weight that the visitor left.
    """
    # Within a pass a parametrised weight is computed once, so that it can be told by identity.
    with torch.no_grad(), computed_once(), _Visit(model, visitor) as mode:
        run(model)
    return len(mode.values)


class _Visit(TorchFunctionMode):
    def __init__(self, model: nn.Module, visitor: Visitor) -> None:
        super().__init__()
        self._visitor = visitor
        self._plain = {id(parameter): (name, parameter) for name, parameter in model.named_parameters()}
        self._computed = [
            (name, module)
            for name, module in model.named_modules()
            if parametrize.is_parametrized(module, "weight") or hasattr(module, "weight_v")
        ]
        self.values: dict[str, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        kind = _KINDS.get(getattr(func, "__name__", ""))
        weight = args[1] if len(args) > 1 else kwargs.get("weight")
        if kind is None or not args or not isinstance(weight, Tensor) or not isinstance(args[0], Tensor):
            return func(*args, **kwargs)
        name, module = self._find(weight)
        if not name:
            return func(*args, **kwargs)

        def call(value: Tensor) -> Tensor:
            given = (args[0], value, *args[2:]) if len(args) > 1 else args
            named = kwargs if len(args) > 1 else {**kwargs, "weight": value}
            result: Tensor = func(*given, **named)
            return result

        if name not in self.values:
            bias = args[2] if len(args) > 2 else kwargs.get("bias")
            held = Held(
                name=name,
                kind=kind,
                weight=weight,
                bias=bias if isinstance(bias, nn.Parameter) and kind != "product" else None,
                groups=int(args[6] if len(args) > 6 else kwargs.get("groups", 1)) if "con" in func.__name__ else 1,
                module=module,
                call=call,
            )
            self._visitor(held)
            self.values[name] = held.weight
        return call(self.values[name])

    def _find(self, weight: Tensor) -> tuple[str, nn.Module | None]:
        """Name of the parameter that the weight is, or of the module that computes it; "" for neither."""
        if id(weight) in self._plain:
            return self._plain[id(weight)][0], None
        return next(((name, module) for name, module in self._computed if module.weight is weight), ("", None))
