"""The backward pass, watched: gradient norms along the trunk, exact at any depth.

Backward is linear and every path passes each trunk node, so the gradient may be rescaled there by a power of two and
the exponent carried along: nothing under- or overflows, and nothing is rounded. Where a gradient leaves the trunk for
a node that other paths reach too, the scale is taken off again. Knows the graph; knows nothing of operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.utils.hooks import RemovableHandle

from steadygrad.probe.graph import Graph, deepest_trunk

LOG10_2 = math.log10(2.0)

BAND = {torch.float16: 4, torch.complex32: 4}
"""Powers of two by which the rms may stray before the gradient is rescaled; float16 holds only 2⁻²⁴…2¹⁶."""

WIDE_BAND = 20


@dataclass
class Watch:
    """The measurements of the hooks. Norms are true ones: every rescaling is taken off."""

    log10_norm: dict[int, float] = field(default_factory=dict)
    """By graph position: log10 norm of the gradient that arrives there; -inf = exactly zero, NaN = not finite."""
    exponents: list[int] = field(default_factory=list)
    """By trunk index: exponent of the factor 2ⁿ in force behind that trunk node."""
    label: list[int] = field(default_factory=list)
    """By graph position: index of the last trunk node that all its gradient has passed; -1 = none."""
    hidden: dict[int, int] = field(default_factory=dict)
    """By id of a parameter that no edge of the graph leads to, though a node's own backward pass (that of a reentrant
    checkpoint) gave it a gradient: the label of that node."""
    samples: dict[int, tuple[Tensor, int]] = field(default_factory=dict)
    """By graph position, float16 only: a few gradient elements as they arrived, and the exponent then in force."""

    def exponent(self, label: int) -> int:
        """The exponent in force behind trunk node ``label``."""
        return 0 if label < 0 else self.exponents[label]


def watch_backward(
    loss: Tensor, graph: Graph, trunk: list[int], inner: Iterable[int], parameters: Iterable[Tensor] = ()
) -> Watch:
    """Run the backward pass of ``loss``; gradients land in the leaves' ``.grad``, still scaled (see ``true_log10_norm``).

    ``trunk`` and ``inner`` are graph positions: norms are taken at both, rescaling is done on the trunk alone. Of the
    ``parameters``, those that only a node's own backward pass reaches are noted as ``hidden``.
    """
    label = deepest_trunk(graph.next, trunk)
    watch = Watch(label=label, exponents=[0] * len(trunk))
    on_trunk = set(trunk)
    handles: list[RemovableHandle] = []
    for index, position in enumerate(trunk):
        handles.append(graph.nodes[position].register_prehook(_on_trunk(watch, index, position)))
    for position in inner:
        if position not in on_trunk:
            handles.append(graph.nodes[position].register_prehook(_off_trunk(watch, position)))
    for position, node in enumerate(graph.nodes):
        leaving = {
            slot: label[target]
            for slot, target in zip(graph.slots[position], graph.next[position], strict=True)
            if label[target] < label[position] and target not in on_trunk
        }
        if leaving:
            handles.append(node.register_hook(_unscale(watch, label[position], leaving)))
    reached = {id(node.variable) for node in graph.nodes if hasattr(node, "variable")}
    beyond = [parameter for parameter in parameters if id(parameter) not in reached]
    for position, node in enumerate(graph.nodes if beyond else ()):
        if isinstance(node, BackwardCFunction):
            handles.append(node.register_hook(_within(watch, label[position], beyond)))
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
    return watch


def gradients_outside(graph: Graph, known: Iterable[Tensor]) -> list[tuple[Tensor, Tensor | None]]:
    """Leaves of the graph that are none of ``known``, with the gradient that they have; it is taken off them."""
    ids = {id(tensor) for tensor in known}
    leaves = [node.variable for node in graph.nodes if hasattr(node, "variable") and id(node.variable) not in ids]
    found = [(leaf, leaf.grad) for leaf in leaves]
    put_back((leaf, None) for leaf in leaves)
    return found


def put_back(gradients: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Give each leaf the gradient it had."""
    for leaf, gradient in gradients:
        leaf.grad = gradient


def true_log10_norm(watch: Watch, gradient: Tensor | None, label: int) -> float:
    """log10 norm of a leaf's accumulated gradient, the rescaling up to ``label`` taken off; -inf for none."""
    return -math.inf if gradient is None else log10_norm([gradient]) - watch.exponent(label) * LOG10_2


def log10_norm(gradients: Sequence[Tensor | None]) -> float:
    """log10 of the joint L2 norm, also where its square would over- or underflow; -inf = zero, NaN = not finite."""
    total = -math.inf
    for gradient in gradients:
        if gradient is not None:
            total = _joint(total, _log10_norm(gradient))
    return total


def _plain_values(tensor: Tensor) -> Tensor:
    """Its numbers in a form whose norm torch computes: sparse, quantised, integer and eight-bit ones have none of their own."""
    if tensor.layout is not torch.strided:
        tensor = tensor.to_sparse_coo().coalesce().values()  # type: ignore[no-untyped-call]
    if tensor.is_quantized:
        return tensor.dequantize()
    wide = tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype.itemsize > 1)
    return tensor if wide else tensor.float()


def _log10_norm(gradient: Tensor) -> float:
    values = _plain_values(gradient)
    if values.numel() == 0:
        return -math.inf
    narrow = values.dtype in (torch.float16, torch.bfloat16)
    norm = float(torch.linalg.vector_norm(values, dtype=torch.float32 if narrow else None))
    if 1e-15 < norm < 1e15:
        return math.log10(norm)
    largest = float(values.abs().max())
    if not math.isfinite(largest):
        return math.nan
    if largest == 0.0:
        return -math.inf
    wide = values.to(torch.complex128 if values.is_complex() else torch.float64) / largest
    return math.log10(largest) + math.log10(float(torch.linalg.vector_norm(wide)))


def _joint(a: float, b: float) -> float:
    """log10 of √(10²ᵃ + 10²ᵇ)."""
    if a == -math.inf or b == -math.inf or math.isnan(a) or math.isnan(b):
        return max(a, b) if not (math.isnan(a) or math.isnan(b)) else math.nan
    high, low = max(a, b), min(a, b)
    return high + 0.5 * math.log10(1.0 + 10.0 ** (2.0 * (low - high)))


Hook = Callable[[tuple[Tensor, ...]], "tuple[Tensor, ...] | None"]


def _on_trunk(watch: Watch, index: int, position: int) -> Hook:
    def hook(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        arrived = watch.exponents[index - 1] if index else 0
        watch.exponents[index] = arrived
        scaled = log10_norm(gradients)
        watch.log10_norm[position] = scaled - arrived * LOG10_2
        present = [gradient for gradient in gradients if gradient is not None]
        if not present or not math.isfinite(scaled):
            return None
        dtype = present[0].dtype
        if dtype == torch.float16:
            watch.samples[position] = (_few(present[0]), arrived)
        elements = sum(gradient.numel() for gradient in present)
        power = round((scaled - 0.5 * math.log10(elements)) / LOG10_2)
        if abs(power) <= BAND.get(dtype, WIDE_BAND):
            return None
        watch.exponents[index] = arrived - power
        return tuple(None if gradient is None else gradient * _two_to(-power) for gradient in gradients)

    return hook


def _off_trunk(watch: Watch, position: int) -> Hook:
    def hook(gradients: tuple[Tensor, ...]) -> None:
        watch.log10_norm[position] = log10_norm(gradients) - watch.exponent(watch.label[position]) * LOG10_2

    return hook


def _within(watch: Watch, label: int, beyond: Sequence[Tensor]) -> Callable[[Any, Any], None]:
    def hook(_: Any, __: Any) -> None:
        for parameter in beyond:
            if parameter.grad is not None:
                watch.hidden.setdefault(id(parameter), label)

    return hook


def _unscale(
    watch: Watch, label: int, leaving: dict[int, int]
) -> Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Tensor, ...] | None]:
    def hook(inputs: tuple[Tensor, ...], _: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        shifts = {slot: watch.exponent(target) - watch.exponent(label) for slot, target in leaving.items()}
        if not any(shifts.values()):
            return None
        return tuple(
            gradient if gradient is None or not shifts.get(slot) else gradient * _two_to(shifts[slot])
            for slot, gradient in enumerate(inputs)
        )

    return hook


def _two_to(power: int) -> float:
    return math.ldexp(1.0, max(-1000, min(1000, power)))


def _few(gradient: Tensor) -> Tensor:
    flat = gradient.detach().flatten() if gradient.is_contiguous() else gradient.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // 512)][:512].double()
