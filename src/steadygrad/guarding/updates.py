"""One step's exact updates: the weights before it against the weights after, for as many as fit into a bounded copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.guarding.distributed import local

MOST_BYTES = 256 * 2**20
"""Of weights that are cloned for one sample; larger models are sampled in turns."""


@dataclass
class Sample:
    """Weights of some parameters, as they were before a step."""

    step: int
    rate: float
    leapt: bool
    """Whether the sample was taken because the learning rate leapt."""
    columns: list[int]
    now: list[Tensor]
    """The weights themselves."""
    kept: list[Tensor]
    count: int

    @classmethod
    def of(cls, parameters: Sequence[Tensor], step: int, rate: float, leapt: bool, start: int = 0) -> Sample:
        """Clone what fits, beginning with parameter ``start``."""
        columns: list[int] = []
        left = MOST_BYTES
        for offset in range(len(parameters)):
            at = (start + offset) % len(parameters)
            tensor = local(parameters[at].detach())
            size = tensor.numel() * tensor.element_size()
            if size > left and columns:
                break
            left -= size
            columns.append(at)
        now = [local(parameters[at].detach()) for at in columns]
        return cls(step, rate, leapt, columns, now, [tensor.clone() for tensor in now], len(parameters))

    def finish(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Norms of the weights before the step, and update ÷ weight; NaN where not sampled. Waits for the device."""
        weights = np.full(self.count, np.nan)
        ratios = np.full(self.count, np.nan)
        if not self.kept:
            return weights, ratios
        norms = norms_of(self.kept)
        moved = norms_of([a - b for a, b in zip(self.now, self.kept, strict=True)])
        weights[self.columns] = norms
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios[self.columns] = np.where(norms > 0, moved / norms, np.nan)
        return weights, ratios


def norms_of(tensors: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    """L2 norm of each, in float64 on the host. Waits for the device."""
    with torch.no_grad():
        found = [torch.linalg.vector_norm(local(t.detach()), dtype=_wide(t.dtype)) for t in tensors]
    return np.array([float(one) for one in found])


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
