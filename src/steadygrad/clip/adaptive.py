"""Adaptive clip (AGC): each unit's gradient in proportion to the unit's weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steadygrad.clip import bounds
from steadygrad.clip.gradients import coalesced, listed, may_read
from steadygrad.clip.shards import Groups, groups_of, local, settled, whole_norms
from steadygrad.torch_internals.tensors import (
    foreach_clamp_max_,
    foreach_clamp_min_,
    foreach_div_,
    foreach_mul_,
    rows_of_sparse,
    values_of_sparse,
)

EPSILON = 1e-3
"""Weights count as at least this (Brock et al. 2021, equation 3), so that a unit that starts at 0 can move."""


def clip_adaptive_(
    parameters: Tensor | Iterable[Tensor], ratio: float = 0.01, epsilon: float = EPSILON, *, whole_vectors: bool = False
) -> None:
    """Scale each unit's gradient so that its norm is at most ``ratio`` × max(that of the unit's weight, ``epsilon``), in place.

    (Brock et al. 2021, arXiv:2102.06171, equation 3.) A unit is what makes one output: ``weight[i]`` of a linear layer's
    ``(out, in)``, a convolution's ``(out, in, *kernel)`` or an embedding's ``(rows, width)``. Of a vector or scalar it is each
    element; with ``whole_vectors`` a vector is one unit, as in the authors' code, optax and timm. They leave the last linear
    layer out: so leave out its parameters.

    A NaN makes its unit NaN, an inf itself NaN and the rest of its unit 0. Halves are clipped by norms and factors in
    float32. Where a distributed unit lies in several processes its norm is that of the whole; sharded by units, the processes
    do not talk.

    Args:
        parameters: Those whose gradients are clipped, one or several; those without a gradient are left out.
        ratio: Greatest norm of a unit's gradient, as a share of its weight's.
        epsilon: Least norm that a weight is taken for, so that one at zero can begin to move.
        whole_vectors: Whether a vector is one unit.

    Raises:
        BoundsError: A ``ValueError``: the ratio or epsilon is not above 0.

    Example:
        >>> import torch, steadygrad as sg
        >>> weight = torch.nn.Parameter(torch.ones(1, 4))
        >>> weight.grad = torch.full((1, 4), 50.0)
        >>> sg.clip_adaptive_([weight], ratio=0.01)
        >>> round(float(weight.grad.norm()), 4)
        0.02
    """
    ratio, epsilon = bounds.above_zero("ratio", ratio), bounds.above_zero("epsilon", epsilon)
    with torch.no_grad():
        tensors, factors = unit_factors(listed(parameters), ratio, epsilon, whole_vectors=whole_vectors)
        chosen = [k for k, factor in enumerate(factors) if not (may_read(factor) and _all_ones(factor))]
        if chosen:
            foreach_mul_([tensors[k] for k in chosen], [factors[k] for k in chosen])


def unit_factors(
    parameters: Sequence[Tensor], ratio: float, epsilon: float = EPSILON, *, whole_vectors: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients as tensors to change, and the factors: one a unit, broadcastable, 1 = unclipped."""
    units = [
        _of_sparse(parameter, parameter.grad) if parameter.grad.is_sparse else _of_dense(parameter, whole_vectors)
        for parameter in parameters
        if parameter.grad is not None
    ]
    _make_whole(units)
    if not units:
        return [], []
    most = [unit.weight for unit in units]
    foreach_clamp_min_(most, epsilon)
    foreach_mul_(most, ratio)
    # A gradient of 0 gives infinity, and so the factor 1.
    foreach_div_(most, [unit.gradient for unit in units])
    foreach_clamp_max_(most, 1.0)
    return [unit.tensor for unit in units], most


@dataclass(slots=True)
class _Units:
    tensor: Tensor
    weight: Tensor
    """Norm of each unit's weight; a tensor of its own, which may be overwritten."""
    gradient: Tensor
    groups: Groups
    """Over which the units are spread; () = each is whole in one process."""


def _of_dense(parameter: Tensor, whole_vectors: bool) -> _Units:
    gradient = settled(parameter, parameter.grad)  # type: ignore[arg-type]
    if gradient is not parameter.grad:
        parameter.grad = gradient
    within = (
        tuple(range(1, gradient.dim())) if gradient.dim() > 1 else (0,) if gradient.dim() == 1 and whole_vectors else ()
    )
    tensor = local(gradient)
    groups = groups_of(gradient, within)
    return _Units(tensor, _norms(local(parameter.detach()), within), _norms(tensor, within), groups)


def _of_sparse(parameter: Tensor, gradient: Tensor) -> _Units:
    """Only rows that have a gradient are looked at. A unit that is 0 elsewhere has the norm of what is there."""
    gradient = coalesced(parameter, gradient)
    values, rows = values_of_sparse(gradient), rows_of_sparse(gradient)[0]
    if gradient.dim() == 1 or gradient.sparse_dim() == 1:
        within = tuple(range(1, gradient.dim()))
        return _Units(values, _norms(parameter.detach()[rows], within), _norms(values, within), ())
    units, unit_of = torch.unique(rows, return_inverse=True)
    of_value = _norms(values, tuple(range(1, values.dim()))).flatten()
    squares = torch.zeros(len(units), dtype=of_value.dtype, device=of_value.device).index_add_(
        0, unit_of, of_value.square()
    )
    shape = (-1, *[1] * (values.dim() - 1))
    weights = _norms(parameter.detach()[units], tuple(range(1, parameter.dim()))).flatten()
    return _Units(values, weights[unit_of].reshape(shape), squares.sqrt()[unit_of].reshape(shape), ())


def _norms(tensor: Tensor, within: tuple[int, ...]) -> Tensor:
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    if not within:
        return tensor.abs().float() if half else tensor.abs()
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=within, keepdim=True, dtype=torch.float32 if half else None)
    return norms


def _make_whole(units: list[_Units]) -> None:
    """Norms of spread units, all that share their groups and dtype at once."""
    spread: dict[tuple[object, ...], list[_Units]] = {}
    for unit in units:
        if unit.groups:
            spread.setdefault((unit.weight.dtype, *map(id, unit.groups)), []).append(unit)
    for alike in spread.values():
        parts = [norms for unit in alike for norms in (unit.weight, unit.gradient)]
        whole = whole_norms(torch.cat([part.flatten() for part in parts]), alike[0].groups)
        for part, norms in zip(parts, torch.split(whole, [part.numel() for part in parts]), strict=True):
            part.copy_(norms.view_as(part))


def _all_ones(factor: Tensor) -> bool:
    return factor.numel() == 0 or factor.min().item() == 1.0
