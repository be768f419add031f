"""One step's exact updates: the weights before it against the weights after, for as many as fit into a bounded copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.clip.shards import local

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
    """How many parameters there are."""
    _norms: tuple[Tensor, Tensor] | None = None

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

    def finish(self) -> None:
        """After the step: norms of the weights before it and of their change. Stays on the device."""
        if self.kept:
            self._norms = _stacked(self.kept), _stacked([a - b for a, b in zip(self.now, self.kept, strict=True)])
        self.kept, self.now = [], []

    @property
    def on_host(self) -> bool:
        return self._norms is None or self._norms[0].device.type == "cpu"

    def read(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Norms of the weights before the step, and update ÷ weight; NaN where not sampled. Waits for the device."""
        weights, ratios = np.full(self.count, np.nan), np.full(self.count, np.nan)
        if self._norms is not None:
            before, moved = (to_host(one) for one in self._norms)
            weights[self.columns] = before
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios[self.columns] = np.where(before > 0, moved / before, np.nan)
        return weights, ratios


def norms_of(tensors: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    """L2 norm of each, on the host. Waits for the device."""
    return to_host(_stacked([tensor.detach() for tensor in tensors]))


def to_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    """As an array; on the CPU the very memory, without an operation of torch's."""
    found: np.ndarray[Any, Any] = (tensor if tensor.device.type == "cpu" else tensor.cpu()).numpy()
    return found


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        norms = [torch.linalg.vector_norm(local(t), dtype=torch.promote_types(t.dtype, torch.float32)) for t in tensors]
        return torch.stack([norm.to(norms[0].device, torch.float64) for norm in norms])
