"""How alike the positions of a sample are: its tokens, frames or nodes; of a matrix, the samples themselves.

While the model runs a few thousand elements are copied; what is made of them is computed after the pass. Knows tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from steadygrad.probe.layout import Layout
from steadygrad.probe.sampling import in_stacks
from steadygrad.record.products import PRODUCTS

MIXING = PRODUCTS | {"linear", "layer_norm", "rms_norm", "scaled_dot_product_attention"}
"""Calls whose last dimension holds the features of one position."""

GROUPS, POSITIONS, FEATURES = 4, 32, 32
"""As many are taken of each, evenly spread; ``ALONE`` positions of a matrix, which is one group."""
ALONE = 128

FEWEST = 4
"""Positions and features under which vectors lie apart or along one line by chance."""


def take(name: str, tensor: Tensor, layout: Layout | None) -> Tensor | None:
    """Copy elements as (groups, positions, features); None where the call has no positions to compare."""
    if name not in MIXING or layout is None or layout.inner != 1 or tensor.dim() not in (2, 3) or layout.dimension > 1:
        return None
    if tensor.layout is not torch.strided or not tensor.is_floating_point() or type(tensor.detach()) is not Tensor:
        return None
    view = tensor.detach()
    if view.dim() == 2:
        view = view[None] if layout.dimension == 0 else view.t()[None]
    elif layout.dimension == 1:
        view = view.transpose(0, 1)
    most = (GROUPS, ALONE if tensor.dim() == 2 else POSITIONS, FEATURES)
    # A square product may be the scores of attention, which are no features.
    if min(view.shape[1:]) < FEWEST or (name in PRODUCTS and view.shape[-1] == view.shape[-2]):
        return None
    steps = [-(-size // wanted) for size, wanted in zip(view.shape, most, strict=True)]
    return view[:: steps[0], :: steps[1], :: steps[2]].to(torch.float32, copy=True)


def apart(samples: Sequence[Tensor | None]) -> list[float | None]:
    """For each, how far the directions of its positions lie apart: 1 − ‖mean of the unit vectors‖², in [0, 1]."""
    return in_stacks(samples, lambda stack, _: _apart(stack))


def _apart(stack: Tensor) -> list[float | None]:
    """(operations, groups, positions, features) → one number each; a position of zeros alone has no direction."""
    unit = torch.nn.functional.normalize(stack, dim=-1)
    known = unit.square().sum(-1, keepdim=True)
    count = known.sum(-2, keepdim=True)
    mean = unit.sum(-2, keepdim=True) / count.clamp(min=1)
    off = ((unit - mean) * known).square().sum((-3, -2, -1)) / known.sum((-3, -2, -1)).clamp(min=1)
    told = (count >= FEWEST).any(-3).flatten() & stack.isfinite().all(-1).all(-1).all(-1)
    return [value if use else None for value, use in zip(off.tolist(), told.tolist(), strict=True)]
