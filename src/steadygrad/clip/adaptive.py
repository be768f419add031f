"""Adaptive clip: each unit's gradient in proportion to the unit's weight."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def clip_adaptive_(parameters: Tensor | Iterable[Tensor], ratio: float = 0.01, epsilon: float = 1e-3) -> None:
    """Scale each unit's gradient so that its norm is at most ``ratio`` × that of the unit's weight, in place.

    A unit is a row of a weight of two or more dimensions, an element of a vector; weights under ``epsilon`` count as
    ``epsilon`` (Brock et al. 2021, arXiv:2102.06171, equation 3). Sparse gradients are left out. Raises ``ValueError`` for
    a ratio or epsilon that is not positive.
    """
    if not (ratio > 0 and epsilon > 0):
        raise ValueError(f"ratio {ratio}, epsilon {epsilon}: expected numbers above 0")
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    with torch.no_grad():
        for parameter in items:
            gradient = parameter.grad
            if gradient is None or gradient.is_sparse:
                continue
            most = ratio * _by_unit(parameter.detach()).clamp(min=epsilon)
            norm = _by_unit(gradient)
            gradient.mul_(torch.where(norm > most, most / norm.clamp(min=torch.finfo(norm.dtype).tiny), 1.0))


def _by_unit(tensor: Tensor) -> Tensor:
    if tensor.dim() <= 1:
        return tensor.abs()
    norm: Tensor = torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.dim())), keepdim=True)
    return norm
