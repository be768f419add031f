"""Small trainings that experiments share: data that is made, plain and residual nets by torch's own modules, descent.

Knows nothing of claims or figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES, CLASSES = 16, 4

GUESSING = math.log(CLASSES)
"""Cross-entropy of guessing among equally frequent classes."""

WORST = 1e6
"""Losses above it, and such as are no number, count as this: a mean over nets stays one."""

APART = 1.5
"""Standard deviation of the classes' centres, the samples of a class having 1: some classes overlap a little."""


def blobs(samples: int) -> tuple[Tensor, Tensor]:
    """Gaussian classes, standardised: x (samples, FEATURES), y (samples,), every class as often."""
    centres = APART * torch.randn(CLASSES, FEATURES)
    y = torch.arange(samples) % CLASSES
    x = centres[y] + torch.randn(samples, FEATURES)
    return (x - x.mean(0)) / x.std(0), y


def plain(depth: int, width: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """``depth`` hidden layers and a head, with torch's default weights."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Linear(FEATURES if number == 0 else width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


class Skip(nn.Module):
    """x + scale · φ(W x)."""

    def __init__(self, width: int, activation: Callable[[], nn.Module], scale: float) -> None:
        super().__init__()
        self.layer, self.activation, self.scale = nn.Linear(width, width), activation(), scale

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width) → (batch, width)."""
        added: Tensor = x + self.scale * self.activation(self.layer(x))
        return added


def residual(depth: int, width: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """The same layers, each with a skip around it and a branch × 1 ÷ √depth."""
    blocks = [Skip(width, activation, 1 / math.sqrt(depth)) for _ in range(depth)]
    return nn.Sequential(nn.Linear(FEATURES, width), *blocks, nn.Linear(width, CLASSES))


def matrices(model: nn.Module) -> list[Tensor]:
    """The weights of all linear layers, first layer first."""
    return [module.weight for module in model.modules() if isinstance(module, nn.Linear)]


def rescale_(model: nn.Module, gain: float) -> None:
    """Draw every matrix again with standard deviation gain ÷ √fan-in, and set every bias to 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=gain / math.sqrt(module.in_features))
            nn.init.zeros_(module.bias)


def descend(
    model: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    *,
    before_step: Callable[[], None] = lambda: None,
) -> list[float]:
    """The loss in front of each step, one step a batch; at most ``WORST``."""
    losses = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        before_step()
        optimizer.step()
        value = float(loss.detach())
        losses.append(min(value, WORST) if math.isfinite(value) else WORST)
    return losses


def rounded(losses: Sequence[float], last: int = 10) -> float:
    """Mean of the last losses: where a training ended."""
    ending = losses[-last:]
    return sum(ending) / len(ending)
