"""The cure as numbers: how the start and the learning rate of each weight follow the size of the model.

The maximal update parametrisation (Yang et al. 2022, arXiv:2203.03466, table 3), relative to the smallest size, which stays as
it is: hidden and output weights, input weights and vectors each with their power of size for the start and for the rate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steadygrad.record.scale import ScaleRecord

_RATES = {True: {"hidden": -1.0, "output": -1.0}, False: {"input": 1.0, "vector": 1.0, "output": -1.0}}
"""Power of size for the learning rate, by whether the optimizer is adaptive (Adam and kin) and by role."""

_STARTS = {"output": -0.5}
"""Power of size for the standard deviation, beside the 1/√fan-in that the model has."""


def factors(found: ScaleRecord, name: str, size: int) -> tuple[float, float]:
    """The factors for the start and for the rate of one parameter in a model of this size."""
    role = next((one.role for one in found.weights if one.name == name), "vector")
    grown = size / found.sizes[0]
    start, rate = _STARTS.get(role, 0.0), _RATES[found.adaptive].get(role, 0.0)
    if any(one.kind == "attention" and name in one.weights for one in found.findings):
        # 1/d in place of 1/√d, taken into the queries: a step of Adam's is as large as its rate, one of SGD's goes with it twice.
        start, rate = start - 0.5, rate - (0.5 if found.adaptive else 1.0)
    return grown**start, grown**rate


@torch.no_grad()
def initialise_(found: ScaleRecord, model: nn.Module, size: int) -> None:
    """Scale the parameters of ``model``, in place."""
    for name, parameter in model.named_parameters():
        parameter.mul_(factors(found, name, size)[0])


def groups(found: ScaleRecord, model: nn.Module, size: int, rate: float) -> list[dict[str, Any]]:
    """Groups of the optimizer, one for each rate."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_rate.setdefault(rate * factors(found, name, size)[1], []).append(parameter)
    return [{"params": parameters, "lr": own} for own, parameters in by_rate.items()]
