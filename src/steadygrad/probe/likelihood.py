"""The direction in which the loss pushes log-probabilities: noted during the backward pass, from their gradient.

A likelihood gives one entry of each row, the target's, the same gradient. Policies weigh their samples and entropies reach
every entry, so neither is taken for one. Reads the gradients of a few nodes; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from steadygrad.probe.taped import Taped

SAME = 1e-3
"""Relative difference up to which two gradients are the same: the mean over a batch, rounded."""


def watch_likelihoods(operations: list[Taped]) -> None:
    """Have ``likelihood`` of each operation that gives log-probabilities set when the loss goes backward."""
    for taped in operations:
        if taped.node is not None and _is_log_probability(taped, operations):
            taped.node.register_prehook(_noting(taped))


def _is_log_probability(taped: Taped, operations: list[Taped]) -> bool:
    while taped.name == "log" or taped.kind == "shape":
        if not taped.parents:
            return False
        taped = operations[taped.parents[0]]
        if taped.name == "softmax":
            return True
    return taped.name == "log_softmax"


def _noting(taped: Taped) -> Callable[[tuple[Tensor, ...]], None]:
    def note(gradients: tuple[Any, ...]) -> None:
        gradient = gradients[0] if gradients else None
        if isinstance(gradient, Tensor) and gradient.layout is torch.strided:
            taped.likelihood = _direction(gradient.detach())

    return note


def _direction(gradient: Tensor) -> float | None:
    """The sign of the gradient where it is the same in one entry of each row, and 0 in all others; None else."""
    values = gradient[gradient != 0]
    if not len(values) or not bool(torch.isfinite(values).all()):
        return None
    least, greatest = float(values.min()), float(values.max())
    if least * greatest <= 0 or greatest - least > SAME * max(abs(least), abs(greatest)):
        return None
    counted = gradient != 0
    picks = gradient.dim() == 1 or any(
        gradient.shape[at] > 1 and int(counted.sum(at).max()) == 1 for at in range(gradient.dim())
    )
    return (1.0 if greatest > 0 else -1.0) if picks else None
