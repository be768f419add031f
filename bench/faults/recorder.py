"""Watches a run as the guard promises to, with hooks of the bench's own: losses, raw gradients and exact updates of each step.

Gradients are read at the end of each backward pass, before the script's own clip; a loss scale is divided out. Knows torch
alone, so that it does not matter what the guard would have read or done.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

EARLY, LATER = 60, 4
"""Updates are measured at each of the first steps, and at each ``LATER``-th after them."""
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Update:
    """What one step did to the weights, by parameter; NaN where it was not there."""

    step: int
    norms: Array
    """Of the weights before the step."""
    moved: Array
    """Of their change."""


@dataclass
class Lane:
    """One optimizer's run. All lists have one entry a step."""

    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    names: list[str]
    snap: list[float] = field(default_factory=list)
    """Norms at the end of the last backward pass; NaN where there was no gradient."""
    loss: float = math.nan
    norms: list[list[float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)

    @property
    def fans(self) -> list[int]:
        """Inputs of a unit; 0 for what is no matrix and no kernel."""
        return [p[0].numel() if p.dim() >= 2 else 0 for p in self.parameters]

    @property
    def sizes(self) -> list[int]:
        return [p.numel() for p in self.parameters]

    def gradients(self) -> list[float]:
        """Norm of each gradient as it is now."""
        with torch.no_grad():
            return [math.nan if p.grad is None else float(_dense(p.grad).float().norm()) for p in self.parameters]


def _dense(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient


class Recorder:
    """``watch`` for a run; ``close`` when it is over. ``lanes``: one for each optimizer that was watched."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.scale = 1.0
        self._backward, self._scaled = Tensor.backward, torch.amp.GradScaler.scale
        recorder = self

        @functools.wraps(self._backward)
        def backward(loss: Tensor, *args: Any, **options: Any) -> Any:
            found = recorder._backward(loss, *args, **options)
            recorder.after_backward(float(loss.detach()) if loss.numel() == 1 else math.nan)
            return found

        @functools.wraps(self._scaled)
        def scale(scaler: torch.amp.GradScaler, outputs: Any) -> Any:
            found = recorder._scaled(scaler, outputs)
            recorder.scale = scaler.get_scale()
            return found

        Tensor.backward, torch.amp.GradScaler.scale = backward, scale  # type: ignore[method-assign]

    def close(self) -> None:
        """Give torch back its own."""
        Tensor.backward = self._backward  # type: ignore[method-assign]
        torch.amp.GradScaler.scale = self._scaled  # type: ignore[method-assign]

    def __call__(self, model: nn.Module | Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer]) -> Recorder:
        roots = [model] if isinstance(model, nn.Module) else list(model)
        named = {id(p): (name, p) for root in roots for name, p in root.named_parameters()}
        held = [{id(p) for group in o.param_groups for p in group["params"]} for o in optimizers]
        for at, optimizer in enumerate(optimizers):
            # Those that no optimizer holds yet may be added to the first one.
            others = set().union(*held[:at], *held[at + 1 :]) if at == 0 else set(named) - held[at]
            own = [pair for key, pair in named.items() if key not in others]
            lane = Lane(optimizer, [p for _, p in own], [name for name, _ in own])
            self.lanes.append(lane)
            optimizer.register_step_pre_hook(functools.partial(self._before, lane))
            optimizer.register_step_post_hook(functools.partial(self._after, lane))
        return self

    def after_backward(self, loss: float) -> None:
        """A loss and the gradients that it left, for all lanes: a step takes what is there."""
        for lane in self.lanes:
            lane.snap = [norm / self.scale for norm in lane.gradients()]
            lane.loss = loss / self.scale

    def _before(self, lane: Lane, *_: Any) -> None:
        step = len(lane.losses) + 1
        if step <= EARLY or step % LATER == 0:
            lane.kept = [p.detach().clone() for p in lane.parameters]

    def _after(self, lane: Lane, *_: Any) -> None:
        lane.norms.append(lane.snap or [math.nan] * len(lane.parameters))
        lane.losses.append(lane.loss)
        lane.rates.append(float(lane.optimizer.param_groups[-1]["lr"]))
        if lane.kept:
            norms = np.array([float(old.float().norm()) for old in lane.kept])
            moved = [
                float((p.detach() - old).float().norm()) for p, old in zip(lane.parameters, lane.kept, strict=True)
            ]
            lane.updates.append(Update(len(lane.losses), norms, np.array(moved)))
            lane.kept = []

    # Stands where a guard would, for runs that save and load its state.

    def state_dict(self) -> dict[str, Any]:
        return {"lane": len(self.lanes) - 1}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The last lane goes on where the saved one ended."""
        old, new = self.lanes[state["lane"]], self.lanes[-1]
        for what in ("norms", "losses", "rates", "updates"):
            setattr(new, what, getattr(old, what))
        self.lanes.remove(old)

    def detach(self) -> None:
        """Hooks go with their optimizer."""
