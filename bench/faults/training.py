"""A small training script taken apart, so that one line of it can go wrong at one step; and what is seen of a run.

Knows torch, data and a net; no guard beyond the one that it is given, no judgement.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.errors import TrainingStopped
from steadygrad.record.rows import ABSENT, Rows

Watch = Callable[[nn.Module, Sequence[torch.optim.Optimizer]], Any]
"""Called once with model and optimizers before the first step."""
Batch = tuple[Tensor, Tensor]
Bend = Callable[[Tensor], Tensor]

FEATURES, CLASSES, WIDTH = 32, 10, 32
_CENTRES = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(7))


def classes(step: int, size: int = 32, *, noise: float = 1.2, wrong: float = 0.0, seed: int = 0) -> Batch:
    """Ten clouds that overlap a little, a new sample each step; a share of the labels may be ``wrong``."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    y = torch.randint(CLASSES, (size,), generator=generator)
    x = _CENTRES[y] + noise * torch.randn(size, FEATURES, generator=generator)
    if wrong:
        other = torch.randint(CLASSES, (size,), generator=generator)
        y = torch.where(torch.rand(size, generator=generator) < wrong, other, y)
    return x, y


class Net(nn.Module):
    """A plain net whose layers are numbered from the input; ``bends`` changes what comes out of a layer, as a bug would."""

    def __init__(
        self, depth: int = 6, act: Bend = torch.relu, width: int = WIDTH, dropout: float = 0.0, gain: float = 2.0
    ) -> None:
        super().__init__()
        sizes = [FEATURES] + [width] * (depth - 1) + [CLASSES]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=(gain / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout(dropout)
        self.act = act
        self.bends: dict[int, Bend] = {}

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.bends:
                x = self.bends[index](x)
            if index + 1 < len(self.layers):
                x = self.dropout(self.act(x))
        return x


def nothing(_: int) -> None:
    """No fault at this place."""


@dataclass
class Script:
    """A training loop: what it trains, on what, and the places where a fault can be."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    batch: Callable[[int], Batch] = classes
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    before: Callable[[int], None] = nothing
    """Before the forward pass of a step, the first being 1."""
    between: Callable[[int], None] = nothing
    """After backward, before the optimizer's step."""
    autocast: torch.dtype | None = None
    prints: list[str] = field(default_factory=list)
    """Of weights and optimizer state after each step; the first entry is from before the first step."""
    found: list[str] = field(default_factory=list)
    """The same, just before the optimizer's step: with what has been written into the weights meanwhile."""
    stopped: TrainingStopped | None = None

    def run(self, *, fingerprints: bool = True, begin: int = 1) -> Script:
        """Train to the end, or until the guard stops it. ``begin``: the first step that is taken."""
        keep = (lambda to: to.append(fingerprint(self.model, self.optimizer))) if fingerprints else (lambda to: None)
        keep(self.prints)
        for step in range(begin, self.steps + 1):
            self.before(step)
            x, y = self.batch(step)
            with torch.autocast("cpu", self.autocast or torch.bfloat16, enabled=self.autocast is not None):
                output = self.model(x)
            loss = self.loss(output.float(), y)
            self.optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward()
            self.between(step)
            keep(self.found)
            try:
                self.optimizer.step()
            except TrainingStopped as stopped:
                self.stopped = stopped
                return self
            if self.schedule is not None:
                self.schedule.step()
            keep(self.prints)
        return self


def fingerprint(model: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Of every bit of weights, buffers and optimizer state."""
    digest = hashlib.blake2b(digest_size=16)
    held = [*model.parameters(), *model.buffers()]
    held += [v for p in model.parameters() for v in optimizer.state.get(p, {}).values() if isinstance(v, Tensor)]
    for tensor in held:
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class Recorder:
    """Watches as the guard does, with hooks of its own: rows of norms for each optimizer, and exact updates."""

    def __init__(self, sample_every: int = 50) -> None:
        self.sample_every = sample_every
        self.names: list[list[str]] = []
        self.shapes: list[list[tuple[int, ...]]] = []
        self.rows: list[list[tuple[int, float, list[float]]]] = []
        self.updates: list[list[tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = []

    def __call__(self, model: nn.Module | Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer]) -> None:
        roots = [model] if isinstance(model, nn.Module) else list(model)
        named = {id(p): (name, p, i) for i, (name, p) in enumerate(n for r in roots for n in r.named_parameters())}
        for optimizer in optimizers:
            own = [p for group in optimizer.param_groups for p in group["params"]]
            own.sort(key=lambda p: named[id(p)][2])
            self.names.append([named[id(p)][0] for p in own])
            self.shapes.append([tuple(p.shape) for p in own])
            self.rows.append([])
            self.updates.append([])
            self._hook(optimizer, own, len(self.rows) - 1)

    def _hook(self, optimizer: torch.optim.Optimizer, own: list[nn.Parameter], at: int) -> None:
        rows, updates, kept = self.rows[at], self.updates[at], []

        @torch.no_grad()
        def before(*_: Any) -> None:
            present = torch.stack(torch._foreach_norm([p.grad for p in own if p.grad is not None]))
            found = iter(present.tolist())
            norms = [ABSENT if p.grad is None else next(found) for p in own]
            rows.append((len(rows) + 1, float(optimizer.param_groups[0]["lr"]), norms))
            if len(rows) % self.sample_every == 0:
                kept[:] = [p.detach().clone() for p in own]

        @torch.no_grad()
        def after(*_: Any) -> None:
            if kept:
                norms = np.array([float(p.norm()) for p in kept])
                moved = np.array([float((p - old).norm()) for p, old in zip(own, kept, strict=True)])
                with np.errstate(divide="ignore", invalid="ignore"):
                    updates.append((len(rows), norms, np.where(norms > 0, moved / norms, np.nan)))
                kept.clear()

        optimizer.register_step_pre_hook(before)
        optimizer.register_step_post_hook(after)

    def as_rows(self, at: int) -> Rows:
        """What the policy takes."""
        steps, rates, norms = zip(*self.rows[at], strict=True)
        count = len(steps)
        return Rows(
            np.array(steps, np.int64),
            np.zeros(count),
            np.array(norms, np.float32).reshape(count, -1),
            np.ones(count, np.float32),
            np.array(rates, np.float32),
        )
