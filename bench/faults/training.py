"""A small training script taken apart, so that one line of it can go wrong at one step; and what is seen of a run.

Knows torch, data and a net; no guard beyond the one that it is given, no judgement.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.errors import TrainingStopped

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


def always(_: int) -> bool:
    """As it should be, at each step."""
    return True


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
    after: Callable[[int], None] = nothing
    """After the optimizer's step."""
    zeroes: Callable[[int], bool] = always
    """Whether gradients are cleared at a step."""
    backs: Callable[[int], bool] = always
    """Whether there is a backward pass at a step."""
    parts: int = 1
    """Backward passes a step, each over its share of the batch."""
    scaler: torch.amp.GradScaler | None = None
    unscales: Callable[[int], bool] = always
    """Whether gradients are unscaled before ``between``; else the scaler does it in its own step."""
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
            self._gradients(step)
            self.between(step)
            keep(self.found)
            try:
                self._step()
            except TrainingStopped as stopped:
                self.stopped = stopped
                return self
            self.after(step)
            if self.schedule is not None:
                self.schedule.step()
            keep(self.prints)
        return self

    def _gradients(self, step: int) -> None:
        """Forward and backward, once for each part."""
        pairs = zip(*(one.chunk(self.parts) for one in self.batch(step)), strict=True)
        for part, (x, y) in enumerate(pairs):
            with torch.autocast("cpu", self.autocast or torch.bfloat16, enabled=self.autocast is not None):
                output = self.model(x)
            loss = self.loss(output.float(), y)
            if self.parts > 1:
                loss = loss / self.parts
            if part == 0 and self.zeroes(step):
                self.optimizer.zero_grad()
            if loss.requires_grad and self.backs(step):
                (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        if self.scaler is not None and self.unscales(step):
            self.scaler.unscale_(self.optimizer)

    def _step(self) -> None:
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()


def fingerprint(model: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Of every bit of weights, buffers and optimizer state."""
    digest = hashlib.blake2b(digest_size=16)
    held = [*model.parameters(), *model.buffers()]
    held += [v for p in model.parameters() for v in optimizer.state.get(p, {}).values() if isinstance(v, Tensor)]
    for tensor in held:
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
