"""Factors by the name of a parameter, put into a model's start and into an optimizer's groups. Both cures end here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from steadygrad.errors import SubjectError

Factors = Callable[[str], tuple[float, float]]
"""For the start and for the rate of the parameter of this name."""


def factors_of(powers: Callable[[str], tuple[float, float]], grown: float) -> Factors:
    """The factors of a model that is ``grown`` times as large as the one that stays as it is."""

    def factors(name: str) -> tuple[float, float]:
        start, rate = powers(name)
        return grown**start, grown**rate

    return factors


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


def regroup_(optimizer: torch.optim.Optimizer, factor: Callable[[nn.Parameter], float]) -> None:
    """Multiply the rate of each parameter, in place: a group is split where its parameters' factors differ."""
    groups: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        if "lr" not in group:
            raise SubjectError(
                f"{type(optimizer).__name__} has no learning rate, so none can be tried for a large model"
            )
        by_factor: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_factor.setdefault(factor(parameter), []).append(parameter)
        groups += [{**group, "params": own, "lr": group["lr"] * times} for times, own in by_factor.items()]
    optimizer.param_groups[:] = groups
