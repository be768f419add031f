"""A learning rate that is lowered for one step at a time: a schedule sees the rate that it has set itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LoweredRates:
    """Of one optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self.lowered: list[tuple[dict[str, Any], Any]] = []
        """Each group whose rate is lowered at this moment, with its own rate."""

    def lower(self, factor: float) -> None:
        """Multiply every rate by ``factor``, until ``restore``."""
        for group in self._optimizer.param_groups:
            if "lr" in group:
                kept = group["lr"]
                if isinstance(kept, Tensor):
                    self.lowered.append((group, kept.clone()))
                    kept.mul_(factor)
                else:
                    self.lowered.append((group, kept))
                    group["lr"] = kept * factor

    def restore(self) -> None:
        """Restore the rates."""
        for group, kept in self.lowered:
            if isinstance(kept, Tensor):
                group["lr"].copy_(kept)
            else:
                group["lr"] = kept
        self.lowered = []
