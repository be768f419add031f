"""Parameters with gradients, for all tests of clips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

SHAPES = ((7, 5), (5,), (3, 2, 3, 3), ())


def parameters(
    seed: int,
    *,
    scale: float = 1.0,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    dtypes: Sequence[torch.dtype] = (torch.float32,),
) -> list[nn.Parameter]:
    """One for each shape, the dtypes in turn."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for place, shape in enumerate(shapes):
        dtype = dtypes[place % len(dtypes)]
        parameter = nn.Parameter(torch.randn(shape, generator=generator).to(dtype))
        imaginary = 1j * torch.randn(shape, generator=generator) if dtype.is_complex else 0.0
        parameter.grad = (scale * (torch.randn(shape, generator=generator) + imaginary)).to(dtype)
        made.append(parameter)
    return made


def gradients(items: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """Copies of the gradients that there are."""
    return [item.grad.clone() for item in items if item.grad is not None]


def same(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> bool:
    """Equal bit for bit, but for the sign of a zero; NaN is NaN."""
    return all(
        a.dtype == b.dtype and torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in zip(ours, theirs, strict=True)
    )


def norm(tensors: Sequence[torch.Tensor]) -> float:
    """L2, in double precision."""
    return sum(float(one.abs().double().square().sum()) for one in tensors) ** 0.5
