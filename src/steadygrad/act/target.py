"""The parts of a guarded optimizer that an action may touch. The composer of a guard hands these in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from steadygrad.act.clipping import Clipper
from steadygrad.detect.history import State


class Target(Protocol):
    """One optimizer, seen from the actions."""

    index: int
    optimizer: torch.optim.Optimizer
    parameters: Sequence[Tensor]
    rate_factor: float
    clipper: Clipper | None
    hidden: list[tuple[Tensor, Tensor]]
    """(parameter, gradient) that the optimizer must not find in this step."""
    taken: list[tuple[int, str]]
    """(step, kind) of the actions so far."""
    state: State

    @property
    def step(self) -> int: ...

    @property
    def inside(self) -> bool:
        """Return whether a step has begun and is not taken yet."""

    @property
    def finite(self) -> bool:
        """Return whether the gradients of the step at hand are finite."""

    def forget_sample(self) -> None:
        """Forget the measurements of the present step: a snapshot was put back."""

    def know(self, state: State) -> None:
        """Set what the rules know of the gradients so far."""
