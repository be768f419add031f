"""Clip each parameter's gradient by its own norm: one layer's spike leaves the others as they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from steadygrad.clip import bounds
from steadygrad.clip.gradients import by_groups, gradients_of, grouped_places, may_read
from steadygrad.clip.norm import EPSILON, SURELY, factor_for_norm
from steadygrad.clip.shards import local, whole_norms
from steadygrad.torch_internals.tensors import foreach_mul_, foreach_norm


def clip_per_parameter_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale each gradient by max_norm ÷ (its L2 norm + 1e-6) where that is below 1, in place.

    The same bits as ``torch.nn.utils.clip_grad_norm_`` on each parameter alone. A NaN or inf stays within its parameter: NaN
    makes all of it NaN, inf makes itself NaN and the rest of it 0. Of a distributed gradient the norm is that of the whole,
    for one all-reduce of all of them.

    Args:
        parameters: Those whose gradients are clipped, one or several.
        max_norm: Greatest norm of each gradient.

    Returns:
        The norms before, ``(gradients,)``, in the order of the parameters, those without a gradient left out.

    Raises:
        BoundsError: A ``ValueError``: ``max_norm`` is below 0.

    Example:
        >>> import torch, steadygrad as sg
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> sg.clip_per_parameter_([weight], 1.0).tolist()
        [5.0]
    """
    max_norm = bounds.at_least_zero("max_norm", max_norm)
    with torch.no_grad():
        gradients = gradients_of(parameters)
        found = norms_by_kind(gradients)
        for places, norms in found:
            if max_norm == math.inf or (may_read(norms) and max(norms.tolist()) + EPSILON < SURELY * max_norm):
                continue
            scale_each_([gradients[place] for place in places], factor_for_norm(norms, max_norm))
        return _in_order(found)


def norms_by_kind(gradients: Sequence[Tensor]) -> list[tuple[list[int], Tensor]]:
    """The L2 norm of each gradient, those of one device and dtype as one tensor, with their places in ``gradients``."""
    found = []
    for groups, places in by_groups(gradients):
        tensors = [local(gradients[place]) for place in places]
        for of_kind in grouped_places(tensors):
            norms = torch.stack(foreach_norm([tensors[k] for k in of_kind]))
            found.append(([places[k] for k in of_kind], whole_norms(norms, groups)))
    return found


def scale_each_(gradients: Sequence[Tensor], factors: Tensor | Sequence[Tensor]) -> None:
    """Multiply each gradient by its factor, in place; on the CPU only those whose factor is not 1."""
    if isinstance(factors, Tensor):
        factors = factors.unbind(0)
    tensors, scalars = [], []
    for gradient, factor in zip(gradients, factors, strict=True):
        if not (may_read(factor) and factor.item() == 1.0):
            tensors.append(local(gradient))
            scalars.append(factor.to(tensors[-1].device))
    if tensors:
        foreach_mul_(tensors, scalars)


def _in_order(found: list[tuple[list[int], Tensor]]) -> Tensor:
    if not found:
        return torch.zeros(0)
    if len(found) == 1:
        return found[0][1]
    device = found[0][1].device
    order = torch.tensor([place for places, _ in found for place in places]).argsort()
    return torch.cat([norms.to(device) for _, norms in found])[order.to(device)]
