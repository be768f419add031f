"""Factors by the name of a parameter, put into a model's start and into an optimizer's groups. Both cures end here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Factors = Callable[[str], tuple[float, float]]
"""For the start and for the rate of the parameter of this name."""


@torch.no_grad()
def initialise_(model: nn.Module, factors: Factors) -> None:
    """Scale the parameters of ``model``, in place."""
    for name, parameter in model.named_parameters():
        parameter.mul_(factors(name)[0])


def groups(model: nn.Module, factors: Factors, rate: float) -> list[dict[str, Any]]:
    """Groups of the optimizer, one for each rate."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_rate.setdefault(rate * factors(name)[1], []).append(parameter)
    return [{"params": parameters, "lr": own} for own, parameters in by_rate.items()]
