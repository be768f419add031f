"""The cure over depth as numbers: the ends of residual branches follow the number of layers.

A branch of L is to add 1/L of what one adds (CompleteP, Dey et al. 2025, arXiv:2505.01618, with Adam), or 1/√L (Bordelon et al.
2024, arXiv:2309.16620, with SGD). The factor of a branch goes into the weights at its end: into their start, and into their rate,
once where a step is as large whatever the gradient, twice where it goes with the gradient. Relative to the least depth.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steadygrad.record.depth import DepthRecord
from steadygrad.scaling.judge_depth import POWER
from steadygrad.scaling.layers import matches


def factors(found: DepthRecord, name: str, depth: int) -> tuple[float, float]:
    """The factors for the start and for the rate of one parameter of a model of this depth."""
    if not any(one.ends_branch and matches(one.pattern, name) for one in found.layers):
        return 1.0, 1.0
    branch = (depth / found.depths[0]) ** -power(found)
    return branch, branch if found.adaptive else branch**2


def power(found: DepthRecord) -> float:
    """The power of depth by which the branches of this family are to shrink still."""
    if not found.residual or found.change.kind != "power" or found.change.value < POWER:
        return 0.0
    return round(2 * found.change.value) / 2 if found.adaptive else 0.5


@torch.no_grad()
def initialise_(found: DepthRecord, model: nn.Module, depth: int) -> None:
    """Scale the parameters of ``model``, in place."""
    for name, parameter in model.named_parameters():
        parameter.mul_(factors(found, name, depth)[0])


def groups(found: DepthRecord, model: nn.Module, depth: int, rate: float) -> list[dict[str, Any]]:
    """Groups of the optimizer, one for each rate."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_rate.setdefault(rate * factors(found, name, depth)[1], []).append(parameter)
    return [{"params": parameters, "lr": own} for own, parameters in by_rate.items()]
