"""The units of an activation: what goes into each, and whether it is inactive on the whole batch.

A unit is a channel behind a convolution and a feature behind a linear layer. Whether one never rises above 0 no handful
of elements can say, so of activations that are flat below, the greatest input of every unit is taken over all samples
and all positions. May rely on the sampler; must not judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steadygrad.probe import sampling
from steadygrad.probe.layout import Layout

FLAT_BELOW = frozenset(
    ["relu", "relu6", "threshold", "hardtanh", "hardsigmoid", "hardswish", "clamp", "clip", "clamp_min"]
)
"""Activations whose derivative is exactly 0 over half of the line, so that ordinary inputs may reach no other part."""

_TURNING = frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "t",
        "swapaxes",
        "swapdims",
        "movedim",
        "moveaxis",
        "view_as",
        "reshape_as",
        "get",
        "adjoint",
    ]
)

FAR = 24
"""Calls between a layer and its activation that are looked through: residual sums, pooling, dropout."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of an activation: sampled elements (rows, columns), the unit of each column, the greatest of each unit."""

    sample: Tensor
    unit: Tensor
    units: int
    greatest: Tensor | None

    @property
    def alike(self) -> tuple[Any, ...]:
        """Equal for inputs that can be worked on together."""
        return (tuple(self.sample.shape), self.units, self.greatest is None, self.sample.device)


def look(
    name: str,
    tensor: Tensor,
    batch_size: int | None,
    layout: Layout | None,
    dimension: int,
    sample: Tensor | None = None,
) -> Inputs | None:
    """Look at an input before an activation runs. ``dimension`` runs over its units; ``sample`` is what was taken already."""
    if hasattr(tensor, "to_local"):
        return None
    sample = sampling.take(tensor, batch_size, layout) if sample is None else sample
    if sample is None:
        return None
    if not tensor.dim():
        return Inputs(sample, torch.zeros(1, dtype=torch.int64, device=sample.device), 1, None)
    at = dimension % tensor.dim()
    unit, count = sampling.places(tensor, batch_size, layout, at), tensor.shape[at]
    if layout is not None and layout.dimension == at:
        unit, count = torch.zeros_like(unit), 1  # The dimension runs over samples: each is the same unit's.
    greatest = None
    if name.strip("_") in FLAT_BELOW and not tensor.is_complex():
        others = [d for d in range(tensor.dim()) if d != at or count == 1]
        greatest = tensor.detach().amax(others).float().view(-1)
    return Inputs(sample, unit, count, greatest)


def dimension(operations: Sequence[Any], owner: int | None, dimensions: int) -> int:
    """The dimension of the units of a tensor of so many ``dimensions``, made by operation ``owner``, from the end.

    What made the values says it: a convolution or a batch norm has channels, everything else has features, last.
    """
    for _ in range(FAR if dimensions > 2 else 0):
        if owner is None:
            break
        operation = operations[owner]
        if len(operation.shape) != dimensions:
            break
        if operation.name.startswith("conv"):
            return {"1": -2, "2": -3, "3": -4}.get(operation.name[-1], 1 - dimensions)
        if operation.name.startswith(("batch_norm", "group_norm", "instance_norm")):
            return 1 - dimensions
        if operation.name.strip("_") in _TURNING or operation.kind in ("linear", "normalisation", "recurrent"):
            break
        owner = operation.parents[0] if operation.parents else None
    return -1


def dead_shares(inputs: Sequence[Inputs], derivative: Tensor, slope: Callable[[Tensor], Tensor | None]) -> list[float]:
    """Share of units of each call whose derivative is exactly 0 on the whole batch.

    ``derivative``: (calls, rows, columns), of ``inputs`` that are alike; ``slope`` gives it of other values. Where no
    greatest input was taken, units are those that a column shows.
    """
    calls, count = len(inputs), inputs[0].units
    active = (derivative != 0).any(1)
    unit = torch.stack([one.unit for one in inputs])
    alive = torch.zeros(calls, count, dtype=torch.int32, device=active.device)
    alive.scatter_reduce_(1, unit, active.int(), "amax")
    if inputs[0].greatest is not None:
        at_top = slope(torch.stack([one.greatest for one in inputs if one.greatest is not None]))
        if at_top is not None:
            alive |= (at_top != 0).int()
        return [float(share) for share in (alive == 0).double().mean(1)]
    seen = torch.zeros_like(alive).scatter_(1, unit, 1)
    return [float(share) for share in ((alive == 0) & (seen == 1)).double().sum(1) / seen.double().sum(1)]
