"""The norms of the weights at the steps that were measured exactly, and how far the optimizer can have moved them since.

Numbers only; it knows neither tensors nor who asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from steadygrad.record.rows import Array


@dataclass
class WeightHistory:
    """One number for each parameter; NaN where it was never measured."""

    count: int
    step: int = 0
    last: Array = field(init=False)
    """Norms at the last look."""
    first: Array = field(init=False)
    """Norms at the first."""
    stride: Array = field(init=False)
    """Length of the last update that was measured."""
    path: Array = field(init=False)
    """Length of all updates between the first look and the last, if each was as long as the next one measured."""

    def __post_init__(self) -> None:
        self.last, self.first, self.stride = (np.full(self.count, np.nan) for _ in range(3))
        self.path = np.zeros(self.count)

    def add(self, step: int, norms: Array, ratios: Array) -> None:
        """One look: the norms before that step, and update ÷ weight in it."""
        with np.errstate(invalid="ignore", over="ignore"):
            stride = norms * ratios
        known = np.isfinite(stride)
        if self.step:
            longer = np.fmax(self.stride, stride)
            self.path += np.where(np.isfinite(longer), longer, 0.0) * (step - self.step)
        self.stride = np.where(known, stride, self.stride)
        self.last = np.where(np.isfinite(norms), norms, self.last)
        self.first = np.where(np.isfinite(self.first), self.first, norms)
        self.step = step

    def moved(self, step: int) -> Array:
        """Bound the change of each norm by the steps since the last look."""
        return np.asarray(self.stride * max(1, step - self.step), np.float64)
