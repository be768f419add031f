"""Products of two tensors: which torch calls are one, what their operands are, and along which axes they sum.

The gradients of a product are products too, each with an axis of its own: so blocks of numbers lie differently in each. May
rely on torch's signatures; rounds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summed:
    """The dimensions that are summed over, of each operand: forward, for the first's gradient, for the second's."""

    first: Axes
    second: Axes
    gradient_for_first: Axes
    second_for_first: Axes
    gradient_for_second: Axes
    first_for_second: Axes


@dataclass(frozen=True)
class Product:
    """One call as a product: ``finish(multiply(first, second))`` is its result, and ``multiply`` is linear in each operand."""

    first: Tensor
    second: Tensor
    multiply: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[Tensor], Tensor]
    summed: Summed


FUSED = frozenset(
    {"scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell"}
    | {"rnn_relu_cell", "bilinear", "chain_matmul", "tensordot", "inner", "addbmm"}
)
"""Calls with products inside that are left as they are."""


def product_of(func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Product | None:
    """The call as a product; None where it is none, or not one of two tensors of real numbers."""
    reader = _READERS.get(name.strip("_"))
    if reader is None or name.strip("_") + "_" == name:
        return None
    try:
        named = {"tensor" if key == "input" else key: value for key, value in kwargs.items()}
        found: Product | None = reader(func, *args, **named)
    except (TypeError, ValueError):
        return None  # Arguments that the reader does not know; the call itself judges them.
    return found if found is not None and _real(found.first) and _real(found.second) else None


def _real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.layout is torch.strided and value.dim() > 0


def _same(output: Tensor) -> Tensor:
    return output


def _linear(func: Any, tensor: Tensor, weight: Tensor, bias: Tensor | None = None) -> Product:
    leading = tuple(range(tensor.dim() - 1)) or (-1,)
    summed = Summed((-1,), (-1,), (-1,), (0,), leading, leading)
    return Product(tensor, weight, func, _plus(bias), summed)


def _plus(bias: Tensor | None, factor: float = 1) -> Callable[[Tensor], Tensor]:
    if bias is None:
        return _same
    return lambda output: output + (bias if factor == 1 else factor * bias)


def _matmul(func: Any, tensor: Tensor, other: Tensor) -> Product:
    return Product(tensor, other, torch.matmul, _same, _of_matrices(tensor, other))


def _mm(func: Any, tensor: Tensor, mat2: Tensor) -> Product:
    return _matmul(func, tensor, mat2)


def _mv(func: Any, tensor: Tensor, vec: Tensor) -> Product:
    return _matmul(func, tensor, vec)


def _reflected(func: Any, tensor: Tensor, other: Tensor) -> Product:
    return _matmul(func, other, tensor)


def _addmm(func: Any, tensor: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Product:
    plus = _plus(tensor, beta)
    return Product(mat1, mat2, torch.matmul, lambda y: plus(y if alpha == 1 else alpha * y), _of_matrices(mat1, mat2))


def _baddbmm(
    func: Any, tensor: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Product:
    return _addmm(func, tensor, batch1, batch2, beta=beta, alpha=alpha)


def _of_matrices(first: Tensor, second: Tensor) -> Summed:
    """Rows by columns; a second operand without the batch's dimensions is a weight, whose gradient sums over all of them."""
    if first.dim() < 2 or second.dim() < 2:
        return Summed((-1,), (0,) if second.dim() < 2 else (-2,), (-1,), (-1,), (-1,), (-1,))
    rows = tuple(range(first.dim() - 1)) if second.dim() == 2 else (-2,)
    return Summed((-1,), (-2,), (-1,), (-1,), rows, rows)


def _convolution(
    func: Any, tensor: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Product:
    return _of_convolution(func, tensor, weight, bias, args, kwargs, transposed=False)


def _transposed(
    func: Any, tensor: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Product:
    return _of_convolution(func, tensor, weight, bias, args, kwargs, transposed=True)


def _of_convolution(
    func: Any,
    tensor: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    transposed: bool,
) -> Product:
    """Blocks lie along the channels, as where these are last; for the weight's gradient along samples and places."""
    spatial = weight.dim() - 2
    channels = tensor.dim() - spatial - 1
    places = (*range(channels), *range(channels + 1, tensor.dim()))
    into, out = ((0,), (1,)) if transposed else ((1,), (0,))
    summed = Summed((channels,), into, (channels,), out, places, places)
    shaped = None if bias is None else bias.view(-1, *[1] * spatial)
    return Product(tensor, weight, lambda x, w: func(x, w, None, *args, **kwargs), _plus(shaped), summed)


def _einsum(func: Any, equation: Any, *operands: Any) -> Product | None:
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    if len(operands) != 2 or not isinstance(equation, str):
        return None
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    first, comma, second = inputs.partition(",")
    plain = comma and "." not in equation and all(len(set(term)) == len(term) for term in (first, second, output))
    if arrow and plain:
        summed = Summed(
            _gone(first, second, output),
            _gone(second, first, output),
            _gone(output, second, first),
            _gone(second, output, first),
            _gone(output, first, second),
            _gone(first, output, second),
        )
    else:
        summed = Summed(*[(-1,)] * 6)
    return Product(operands[0], operands[1], lambda a, b: func(equation, a, b), _same, summed)


def _gone(term: str, other: str, result: str) -> Axes:
    """The dimensions of ``term`` that ``other`` shares and ``result`` has not: those that are summed; the last without any."""
    return tuple(i for i, letter in enumerate(term) if letter in other and letter not in result) or (-1,)


_READERS: dict[str, Callable[..., Product | None]] = {
    "linear": _linear,
    "matmul": _matmul,
    "rmatmul": _reflected,
    "mm": _mm,
    "bmm": _mm,
    "mv": _mv,
    "addmm": _addmm,
    "baddbmm": _baddbmm,
    "einsum": _einsum,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
}
