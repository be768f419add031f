"""Clip by value: every element of every gradient into an interval."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from steadygrad.clip.gradients import dense_gradients, grouped


def clip_value_(parameters: Tensor | Iterable[Tensor], low: float = -1.0, high: float = 1.0) -> None:
    """Clamp each gradient element to [low, high], in place. NaN stays NaN.

    With low = −high this is ``torch.nn.utils.clip_grad_value_`` bit for bit; any interval will do, also one that leaves 0
    out. Raises ``ValueError`` where low > high.
    """
    if not low <= high:
        raise ValueError(f"the interval is [{low}, {high}]; expected low ≤ high")
    with torch.no_grad():
        for tensors in grouped(dense_gradients(parameters)):
            torch._foreach_clamp_min_(tensors, low)
            torch._foreach_clamp_max_(tensors, high)
