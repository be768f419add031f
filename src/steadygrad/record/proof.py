"""The results of training a model before and after a cure: the same data in the same order, the same seeds.

Losses are those of the training batches, before each step. Standard library only.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerUpdate:
    """The size of one weight's move in the first step."""

    name: str
    ratio: float
    """‖update‖ ÷ ‖weight‖."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    seed: int
    losses: tuple[float, ...]
    """Before each step; ends early at a loss that is not finite."""
    accuracy: float | None
    """On the data trained on, after the last step; None where the task is no classification."""
    updates: tuple[LayerUpdate, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """All trainings of one model."""

    name: str
    """ "before" or "after"."""
    optimizer: str
    runs: tuple[Run, ...]

    @property
    def middle(self) -> tuple[float, ...]:
        """Median loss over the seeds at each step that every seed reached."""
        return tuple(statistics.median(values) for values in zip(*(run.losses for run in self.runs), strict=False))

    @property
    def last(self) -> float:
        """Median of the last losses; infinite where the median run stopped being finite."""
        return statistics.median(run.losses[-1] if _whole(run, self.runs) else math.inf for run in self.runs)

    @property
    def accuracy(self) -> float | None:
        """The median of the runs' accuracies; None where no run has one."""
        values = [run.accuracy for run in self.runs if run.accuracy is not None]
        return statistics.median(values) if values else None

    def slowest(self, count: int) -> tuple[LayerUpdate, ...]:
        """The weights that moved least in the first step of the first run."""
        return tuple(sorted(self.runs[0].updates, key=lambda update: update.ratio)[:count])

    def steps_to(self, loss: float) -> int | None:
        """Count the steps until the median loss is at most ``loss``; None where it never is."""
        return next((step for step, value in enumerate(self.middle) if value <= loss), None)


def _whole(run: Run, runs: tuple[Run, ...]) -> bool:
    return len(run.losses) == max(len(other.losses) for other in runs) and math.isfinite(run.losses[-1])


@dataclass(frozen=True)
class ProofRecord:
    """The same training of a model before and after a cure."""

    before: Arm
    after: Arm
    steps: int
    target: float
    """The loss that ``steps_to`` is reported for: half of what both start from, or of the lower start."""
    data: str
    """The training data, in words."""
    cure: str
    """Title of what was taken; empty where nothing was."""
    words: str
    """The planner's words."""

    @property
    def proven(self) -> bool:
        """Return whether the cured model ends below the other, and below its own start, in every run."""
        after = [_end(run) for run in self.after.runs]
        before = [_end(run) for run in self.before.runs]
        return bool(self.cure) and max(after) < min(before) and max(after) < self.after.runs[0].losses[0]

    @property
    def seeds_alike(self) -> bool:
        """Return whether several seeds made one and the same training before: the target sets its own seed."""
        return len(self.before.runs) > 1 and len({run.losses for run in self.before.runs}) == 1


def _end(run: Run) -> float:
    return run.losses[-1] if math.isfinite(run.losses[-1]) else math.inf
