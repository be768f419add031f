"""The step that an alarm is about, as causes are looked for in it: what may be read, and nothing that could be changed by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steadygrad.detect.history import State
from steadygrad.explain.weights import WeightHistory
from steadygrad.record import Location
from steadygrad.record.rows import Columns


@dataclass(frozen=True)
class StepView:
    """One optimizer at one step, before it is taken."""

    index: int
    """The number of the optimizer, from 0."""
    step: int
    optimizer: torch.optim.Optimizer
    parameters: Sequence[Tensor]
    """In depth order, as ``columns`` are."""
    columns: Columns
    weights: WeightHistory
    history: State
    taken: bool
    """Whether the step at hand has been taken already."""
    shared: bool
    """Whether all ranks are here, at the same step."""
    place: Location | None = None
    """Where the program takes its steps."""
    prefix: str = ""
    """The prefix in ``columns`` of the names of the model that is looked at."""
    scale: float = 1.0
    """The loss scale that the last backward pass had, and that norms are without."""

    def own(self, name: str) -> str:
        """A parameter's name in the model that is looked at; "" for one of another model."""
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else ""
