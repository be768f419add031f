"""Clip by global norm: all gradients by one factor, so that the direction stays."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from steadygrad.clip.gradients import dense_gradients, grouped

EPSILON = 1e-6
"""As in ``torch.nn.utils.clip_grad_norm_``, so that results are the same bit for bit."""


def total_norm(gradients: Iterable[Tensor]) -> Tensor:
    """L2 norm of all elements together, on the first gradient's device; 0 where there are none."""
    norms = [norm for tensors in grouped(gradients) for norm in torch._foreach_norm(tensors)]
    if not norms:
        return torch.zeros(())
    total: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))
    return total


def clip_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients by max_norm ÷ (norm + 1e-6) where that is below 1, in place; gives the norm before.

    (Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.) Raises ``ValueError`` for a ``max_norm`` below 0.
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm is {max_norm}, expected 0 or more")
    with torch.no_grad():
        gradients = dense_gradients(parameters)
        norm = total_norm(gradients)
        factor = torch.clamp(max_norm / (norm + EPSILON), max=1.0)
        for tensors in grouped(gradients):
            torch._foreach_mul_(tensors, factor.to(tensors[0].device))
        return norm
