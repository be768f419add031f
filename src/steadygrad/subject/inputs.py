"""The description of one input of a model, and tensors drawn to match it.

A ``TensorSpec`` comes from ``--input 64,3,32,32`` or from a guess at a model's first layer. May rely on torch; must not
know models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steadygrad.copies.memory import MEMORY_MARGIN, free_memory
from steadygrad.errors import BatchError, SettingsError

_FAMILIES = ("float", "bfloat", "half", "double", "int", "long", "short", "uint", "bool", "complex")

_DTYPES = {
    name: kind
    for name, kind in vars(torch).items()
    if isinstance(kind, torch.dtype) and name.rstrip("0123456789") in _FAMILIES
}

SHORT_RANGE = 2
"""Integers are drawn below this where nothing says how many there are: right for any table of two rows or more."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape, and what to fill it with: N(0, 1), or whole numbers from ``low`` to below ``high``."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    low: int = 0
    high: int | None = None
    batch_dimension: int = 0

    def of_size(self, samples: int) -> TensorSpec:
        """The same for another number of samples; ``shape`` holds the batch dimension."""
        at = self.batch_dimension
        return TensorSpec((*self.shape[:at], samples, *self.shape[at + 1 :]), self.dtype, self.low, self.high, at)

    @property
    def words(self) -> str:
        """ "64 × 3 × 32 × 32 of N(0, 1)"."""
        size = " × ".join(map(str, self.shape)) or "one number"
        if self.high is not None:
            return f"{size} of whole numbers from {self.low} to {self.high - 1}"
        return f"{size} of {'random booleans' if self.dtype is torch.bool else 'N(0, 1)'}"


def draw(spec: TensorSpec, generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """A tensor as the spec says; the same for the same generator on every device."""
    size = torch.empty((), dtype=spec.dtype).element_size()
    for length in spec.shape:
        size *= length
    if size > MEMORY_MARGIN * free_memory(torch.device("cpu")):
        raise BatchError(f"an input of {spec.words} does not fit into the free memory; make it smaller with --input")
    if spec.dtype is torch.bool:
        return torch.randint(0, 2, spec.shape, generator=generator).bool().to(device)
    if not (spec.dtype.is_floating_point or spec.dtype.is_complex):
        high = SHORT_RANGE if spec.high is None else spec.high
        return torch.randint(spec.low, high, spec.shape, generator=generator).to(device, spec.dtype)
    drawn = (
        torch.complex128 if spec.dtype.is_complex else torch.float64 if spec.dtype is torch.float64 else torch.float32
    )
    return torch.randn(spec.shape, generator=generator, dtype=drawn).to(device, spec.dtype)


def parse_input(text: str) -> TensorSpec:
    """``64,3,32,32``, ``8,128:long`` or ``8,128:0-50257`` (ids below 50257). Raises ``SettingsError``."""
    sizes, _, kind = text.partition(":")
    try:
        shape = tuple(int(size) for size in re.split(r"[,x×]", sizes.replace(" ", "")))
    except ValueError:
        raise SettingsError(
            f"cannot read the input {text!r}; write it as 64,3,32,32 or 8,128:long or 8,128:0-50257"
        ) from None
    if any(size < 1 for size in shape):
        raise SettingsError(f"the input {text!r} is empty; every size must be 1 or more")
    if not kind:
        return TensorSpec(shape)
    bounds = re.fullmatch(r"(\d+)-(\d+)", kind)
    if bounds is not None:
        low, high = int(bounds[1]), int(bounds[2])
        if low >= high or high >= 2**63:
            raise SettingsError(
                f"the input {text!r} has no number from {low} to below {high}; write it as 8,128:0-50257"
            )
        return TensorSpec(shape, torch.int64, low, high)
    if kind not in _DTYPES:
        raise SettingsError(
            f"the input {text!r} has the unknown kind {kind!r}; known are 0-50257 and {', '.join(_DTYPES)}"
        )
    return TensorSpec(shape, _DTYPES[kind])


def in_words(value: Any) -> str:
    """ "(64, 20) float32, (64,) int64": the tensors of a batch."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(item)}" for name, item in value.items()) or "nothing"
    if isinstance(value, (tuple, list)):
        return ", ".join(in_words(item) for item in value) or "nothing"
    return type(value).__name__


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in a nested batch."""
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, (tuple, list)) else ()
    return [tensor for item in items for tensor in tensors_in(item)]
