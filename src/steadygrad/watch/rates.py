"""An optimizer's learning rate, read without waiting."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def greatest(optimizer: torch.optim.Optimizer) -> float:
    """Return the greatest rate of all groups; NaN where reading it would wait for a device."""
    groups = optimizer.param_groups
    rate = groups[0].get("lr", math.nan)
    if len(groups) > 1:
        rate = max(group.get("lr", math.nan) for group in groups)
    if type(rate) is float:
        return rate
    return math.nan if isinstance(rate, Tensor) and not rate.is_cpu else float(rate)
