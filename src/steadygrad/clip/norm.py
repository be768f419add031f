"""Clip by global norm: all gradients by one factor, so that the direction stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from steadygrad.clip import bounds
from steadygrad.clip.gradients import by_groups, gradients_of, grouped, may_read, scale_
from steadygrad.clip.shards import all_plain, local, whole_norm
from steadygrad.torch_internals.tensors import foreach_norm

EPSILON = 1e-6
"""The value in ``torch.nn.utils.clip_grad_norm_``, so that results are the same bit for bit."""

SURELY = 0.9
"""Of ``max_norm``: a norm under it gives the factor 1 in any dtype. bfloat16, the coarsest, is off by 1 % at most."""

UNCLIPPED = 1 - 1e-5
"""Of the bound: a float32 norm under it is below by more than the rounding of its sum, so the clip leaves all as it is."""

Number = TypeVar("Number", Tensor, float)


def clip_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, *, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by max_norm ÷ (norm + 1e-6) where that is below 1, in place.

    (Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.) The same bits
    as ``torch.nn.utils.clip_grad_norm_``, in the gradients' own dtype; where no clip is needed nothing is multiplied
    on the CPU, and on another device the factor is never read, but multiplied by. Of distributed gradients the norm is that
    of the whole, the same on every rank, for one exchange of a scalar.

    As in torch a NaN makes every gradient NaN, an inf makes itself NaN and all else 0; with ``error_if_nonfinite`` both
    raise instead, for which the norm is read. An infinite ``max_norm`` only measures: torch's would turn all to NaN where the
    norm is infinite.

    Args:
        parameters: Those whose gradients are clipped, one or several; those without a gradient are left out.
        max_norm: Greatest norm of all gradients together.
        norm_type: 2, or ``inf`` for the greatest element.
        error_if_nonfinite: Whether a norm that is not finite is an error.

    Returns:
        The norm before, a scalar tensor.

    Raises:
        BoundsError: A ``ValueError``: ``max_norm`` is below 0.
        RuntimeError: The norm is not finite, where ``error_if_nonfinite`` is given.

    Example:
        >>> import torch, steadygrad as sg
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> float(sg.clip_norm_([weight], 1.0))
        5.0
        >>> round(float(weight.grad.norm()), 4)
        1.0
    """
    max_norm, norm_type = bounds.at_least_zero("max_norm", max_norm), bounds.order(norm_type)
    with torch.no_grad():
        gradients = gradients_of(parameters)
        total = total_norm(gradients, norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise RuntimeError(f"the gradients' norm is {total.item()}; nothing was clipped")
        scale_to_norm_(gradients, total, max_norm)
        return total


def total_norm(gradients: Sequence[Tensor], norm_type: float = 2.0) -> Tensor:
    """The norm of all elements together, on the first gradient's device; 0 where there are none.

    What ``torch.nn.utils.get_total_norm`` gives, bit for bit, where no gradient is distributed.
    """
    if not gradients:
        return torch.zeros(())
    first = local(gradients[0]).device
    if all_plain(gradients):
        return _norm_here(gradients, norm_type, first)
    totals = []
    for groups, places in by_groups(gradients):
        part = _norm_here([local(gradients[place]) for place in places], norm_type, first)
        totals.append(whole_norm(part, groups, norm_type))
    if len(totals) == 1:
        return totals[0]
    total: Tensor = torch.linalg.vector_norm(torch.stack([one.to(first) for one in totals]), norm_type)
    return total


def _norm_here(tensors: Sequence[Tensor], norm_type: float, device: torch.device) -> Tensor:
    if norm_type == math.inf:
        # A maximum over nothing does not exist, and torch says so; here it is 0, as its norm is.
        tensors = [tensor for tensor in tensors if tensor.numel()]
    norms = [foreach_norm(of_kind, norm_type) for of_kind in grouped(tensors)]
    if not norms:
        return torch.zeros((), device=device)
    # One kind lies on one device.
    flat = norms[0] if len(norms) == 1 else [norm.to(device) for of_kind in norms for norm in of_kind]
    total: Tensor = torch.linalg.vector_norm(torch.stack(flat), norm_type)
    return total


def factor_for_norm(total: Number, max_norm: float) -> Number:
    """min(max_norm ÷ (total + 1e-6), 1), NaN for NaN: of a tensor each element's, of a number that one's.

    torch divides a number by a tensor as reciprocal times number, which rounds twice. So does this: a ``numpy.float32``
    gives the bits of a float32 tensor, a ``float`` those of a float64 one.
    """
    if isinstance(total, Tensor):
        factor: Tensor = torch.clamp(max_norm / (total + EPSILON), max=1.0)
        return factor
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        one = (type(total)(1.0) / (total + type(total)(EPSILON))) * type(total)(max_norm)
    return one if not one > 1.0 else type(total)(1.0)


def clip_to_bound_(parameters: Tensor | Iterable[Tensor], bound: Callable[[float], float]) -> Tensor:
    """Clip the global L2 norm in place at what ``bound`` says of it; gives the norm before, which is read, and so waited for."""
    with torch.no_grad():
        gradients = gradients_of(parameters)
        total = total_norm(gradients)
        if gradients:
            scale_to_norm_(gradients, total, bound(total.item()))
        return total


def scale_to_norm_(gradients: Sequence[Tensor], total: Tensor, max_norm: float) -> None:
    """Scale gradients whose norm ``total`` is known to ``max_norm`` at most."""
    if max_norm == math.inf or not gradients:
        return
    readable = may_read(total)
    if readable and total.item() + EPSILON < SURELY * max_norm:
        return
    factor = factor_for_norm(total, max_norm)
    if not (readable and factor.item() == 1.0):
        scale_(gradients, factor)
