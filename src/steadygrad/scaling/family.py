"""A family of models as subjects, by size and seed: what ``scale`` and ``scale_depth`` measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from steadygrad.copies.randomness import seed_torch
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject, make_subject


def family(
    build: Callable[[int], nn.Module],
    batch: Any,
    loss_fn: Callable[..., torch.Tensor] | None,
    optimizer: OptimizerLike,
) -> Callable[[int, int], Subject]:
    """The subject of a size and a seed; every member has the same batch."""

    def member(size: int, seed: int) -> Subject:
        seed_torch(seed)
        return make_subject(build(size), batch, loss_fn, optimizer=optimizer, seed=seed)

    return member
