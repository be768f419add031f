"""The record of whether a learning rate carries over from a small model to a large one. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateRun:
    """The training at one rate."""

    factor: float
    """Of the optimizer's own learning rates."""
    loss: float
    """Mean over the last fifth of the steps; infinite where one of them was not finite."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One size of the model at several rates."""

    size: int
    start: float
    """Loss before any step."""
    runs: tuple[RateRun, ...]
    """By factor; never empty."""

    @property
    def best(self) -> RateRun:
        """Return the run with the least loss; of equal ones that with the lowest rate."""
        return min(self.runs, key=lambda one: (one.loss, one.factor))

    @property
    def bracketed(self) -> bool:
        """Return whether a lower and a higher rate than the best were tried."""
        return self.runs[0] is not self.best is not self.runs[-1]

    def reached(self, factor: float) -> float:
        """Return the fall of the loss at this rate ÷ that at the best one: 1 = as good. NaN where no rate lowers the loss."""
        fall = self.start - self.best.loss
        loss = next(one.loss for one in self.runs if one.factor == factor)
        return (self.start - loss) / fall if fall > 0 else math.nan


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """The same trainings at the smallest size, and at a large one without and with the cure."""

    steps: int
    data: str
    """The training data, in words."""
    small: Sweep
    before: Sweep
    after: Sweep
    without: tuple[str, ...]
    """Weights that need a multiplier in the model, which the trainings did not have."""

    @property
    def shared(self) -> float:
        """Return the best rate of the small model, as a factor of the optimizer's own."""
        return self.small.best.factor

    @property
    def proven(self) -> bool:
        """Return whether the small model's best rate loses the cured large one at most a hundredth of what its own best gains."""
        return self.after.reached(self.shared) >= KEPT


KEPT = 0.99
"""Share of the fall of the loss that a rate which carries over must reach."""
