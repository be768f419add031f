"""Number formats bit for bit: the nearest number that a format holds, ties to even, with the scaling that is usual for it.

Numbers of 16 bits are rounded by torch's own cast; narrower ones by arithmetic, which is several times as fast and gives the
bits of torch's casts. Block scales follow the OCP Microscaling Formats specification 1.0 (section 6.3) and, for NVFP4, NVIDIA's
description of it (arXiv:2509.25149). Knows tensors; knows no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_EXPONENT = 0x7F800000
"""The exponent's bits of a float32."""

LEAST_SCALE, GREATEST_SCALE = 2.0**-127, 2.0**127
"""Of E8M0, the block scale: powers of two alone."""


@dataclass(frozen=True, slots=True)
class Element:
    """A format of single numbers: 2^e × (1 + m ÷ 2^mantissa), below the least exponent without the 1."""

    name: str
    mantissa: int
    """Bits behind the leading one."""
    least_exponent: int
    """Of a number that is not subnormal."""
    greatest: float
    dtype: torch.dtype | None
    """The type whose cast rounds; None: arithmetic does."""
    infinite: bool
    """Whether a number beyond the greatest becomes infinite; else it becomes the greatest."""

    @property
    def greatest_exponent(self) -> int:
        """Exponent of the greatest number."""
        return math.frexp(self.greatest)[1] - 1

    @property
    def limit(self) -> float:
        """Half a spacing above the greatest number."""
        return self.greatest + 2.0 ** (self.greatest_exponent - self.mantissa - 1)


BF16 = Element("bfloat16", 7, -126, torch.finfo(torch.bfloat16).max, torch.bfloat16, True)
FP16 = Element("float16", 10, -14, torch.finfo(torch.float16).max, torch.float16, True)
E4M3 = Element("e4m3", 3, -6, 448.0, None, False)
E5M2 = Element("e5m2", 2, -14, 57344.0, None, False)
E2M1 = Element("e2m1", 1, 0, 6.0, None, False)


def nearest(values: Tensor, element: Element) -> Tensor:
    """The nearest number of the format, of float32 ``values``, as float32."""
    if not element.infinite:
        values = values.clamp(-element.greatest, element.greatest)
    if element.dtype is not None:
        return values.to(element.dtype).float()
    quantum = _quantum(values, element)
    return (values / quantum).round_().mul_(quantum)


def stochastic(values: Tensor, element: Element) -> Tensor:
    """One of the two numbers of the format that enclose each float32 value, the nearer the likelier: right on average."""
    quantum = _quantum(values, element)
    drawn = ((values / quantum) + torch.rand_like(values)).floor() * quantum
    return drawn.clamp(-element.greatest, element.greatest)


def _quantum(values: Tensor, element: Element) -> Tensor:
    """The distance between the numbers of the format around each value: a power of two, exactly."""
    power = (values.contiguous().view(torch.int32) & _EXPONENT).view(torch.float32)
    return power.clamp_(min=2.0**element.least_exponent).mul_(2.0**-element.mantissa)


@dataclass(frozen=True, slots=True)
class Rounding:
    """A format with its scaling: what one operand of a product goes through."""

    element: Element
    scaling: str
    """ "none", "tensor" (the greatest magnitude becomes the greatest number), "power" (a power of two a block: E8M0) or
    "e4m3" (a scale in e4m3 a block, and one in float32 for all)."""
    block: int = 0
    factor: float = 1.0
    """Of "none": what is multiplied before and divided behind, as a loss scale does with gradients."""

    def rounded(self, tensor: Tensor, along: tuple[int, ...]) -> Tensor:
        """Return the tensor as the format holds it. Blocks lie along the dimensions ``along``, over which a product sums."""
        values = tensor.detach().float()
        if self.block:
            blocks, shape, pad = _in_blocks(values, along, self.block)
            scale = self._of_blocks(blocks)
            found = nearest(blocks / torch.where(scale > 0, scale, 1.0), self.element).mul_(scale)
            return _out_of_blocks(found, shape, pad, along).to(tensor.dtype)
        scale_ = self._of_tensor(values)
        if scale_ == 1.0:
            return nearest(values, self.element).to(tensor.dtype)
        return nearest(values * scale_, self.element).div_(scale_).to(tensor.dtype)

    def beyond(self, tensor: Tensor, along: tuple[int, ...]) -> int:
        """Count the elements that are too large for the greatest number to be the nearest by the spacing there."""
        values = tensor.detach().float()
        if not self.block:
            return int(((values * self._of_tensor(values)).abs() >= self.element.limit).sum())
        blocks, _, _ = _in_blocks(values, along, self.block)
        scale = self._of_blocks(blocks)
        return int(((blocks / torch.where(scale > 0, scale, 1.0)).abs() >= self.element.limit).sum())

    def _of_tensor(self, values: Tensor) -> float:
        """What the tensor is multiplied by."""
        if self.scaling == "none" or not values.numel():
            return self.factor
        greatest = float(values.abs().amax())
        return self.element.greatest / greatest if 0 < greatest < math.inf else 1.0

    def _of_blocks(self, blocks: Tensor) -> Tensor:
        """What each block is divided by."""
        greatest = blocks.abs().amax(-1, keepdim=True)
        if self.scaling == "power":
            power = (greatest.view(torch.int32) & _EXPONENT).view(torch.float32)
            return (power * 2.0**-self.element.greatest_exponent).clamp(LEAST_SCALE, GREATEST_SCALE)
        whole = greatest.amax() / (self.element.greatest * E4M3.greatest) if greatest.numel() else greatest
        whole = torch.where(whole > 0, whole, 1.0)
        return nearest(greatest / self.element.greatest / whole, E4M3) * whole


def _in_blocks(values: Tensor, along: tuple[int, ...], size: int) -> tuple[Tensor, tuple[int, ...], int]:
    """The values in rows of ``size`` along some dimensions, the last row filled up with zeros."""
    if values.dim() == 0:
        values = values[None]
    moved = values.movedim(along, tuple(range(-len(along), 0)))
    flat = moved.flatten(-len(along))
    pad = -flat.shape[-1] % size
    return (F.pad(flat, (0, pad)) if pad else flat).reshape(*flat.shape[:-1], -1, size), tuple(moved.shape), pad


def _out_of_blocks(blocks: Tensor, shape: tuple[int, ...], pad: int, along: tuple[int, ...]) -> Tensor:
    flat = blocks.flatten(-2)
    return flat[..., : flat.shape[-1] - pad].reshape(shape).movedim(tuple(range(-len(along), 0)), along)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How operands, gradients and outputs of a product are held."""

    name: str
    operand: Rounding
    gradient: Rounding
    output: Rounding
    """The products of narrow operands are held in bfloat16."""

    def with_loss_scale(self, factor: float) -> Recipe:
        """Return the same under a loss that is multiplied by ``factor``: gradients are held so many times as large."""
        scaled = Rounding(self.gradient.element, "none", factor=factor)
        return Recipe(self.name, self.operand, scaled, self.output)


def _plain(name: str, element: Element) -> Recipe:
    rounding = Rounding(element, "none")
    return Recipe(name, rounding, rounding, rounding)


_BF16 = Rounding(BF16, "none")
_MXFP8 = Rounding(E4M3, "power", 32)
_NVFP4 = Rounding(E2M1, "e4m3", 16)

RECIPES = {
    one.name: one
    for one in (
        _plain("bf16", BF16),
        _plain("fp16", FP16),
        Recipe("fp8", Rounding(E4M3, "tensor"), Rounding(E5M2, "tensor"), _BF16),
        Recipe("mxfp8", _MXFP8, _MXFP8, _BF16),
        Recipe("nvfp4", _NVFP4, _NVFP4, _BF16),
    )
}
"""By the names of ``record.precision.PRECISIONS``, which tells what each is."""
