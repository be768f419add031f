"""Training runs in which a few samples of one batch are beyond all measure, and what the guard knows when they come."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.explain.capture import Capture, Given

ROWS, STEPS, CLASSES = 64, 100, 5
FAR = 3.0
"""Times the usual norm from which the gradient of one sample alone is at fault."""


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))


def conv(norm: Callable[[int], nn.Module] = lambda _: nn.Identity()) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 6)),
        *(nn.Conv2d(1, 8, 3, padding=1), norm(8), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), norm(16), nn.ReLU()),
        *(nn.Dropout(0.1), nn.Flatten(), nn.Linear(384, CLASSES)),
    )


def conv_batch_norm() -> nn.Module:
    return conv(nn.BatchNorm2d)


class Residual(nn.Module):
    def __init__(self, norm: Callable[[int], nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(24, 32), nn.Linear(32, CLASSES)
        self.blocks = nn.ModuleList(
            nn.Sequential(norm(32), nn.Linear(32, 64), nn.GELU(), nn.Dropout(0.1), nn.Linear(64, 32)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.head(hidden)


def residual_batch_norm() -> nn.Module:
    return Residual(nn.BatchNorm1d)


class Transformer(nn.Module):
    """(batch, time) tokens to (batch, time, classes)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(16, 32), nn.Linear(32, CLASSES)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(tokens)))


class Recurrent(nn.Module):
    """(batch, time, features) to (batch, classes)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.drop, self.head = nn.LSTM(6, 24, batch_first=True), nn.Dropout(0.1), nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.lstm(x.unflatten(1, (4, 6)))[0][:, -1]))


NETS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "conv": conv,
    "conv-batch-norm": conv_batch_norm,
    "residual": Residual,
    "residual-batch-norm": residual_batch_norm,
    "transformer": Transformer,
    "lstm": Recurrent,
}
LOSSES = ("mse", "cross-entropy")


@dataclass
class Batch:
    x: Tensor
    y: Tensor
    weight: Tensor
    """Of each sample in the loss."""


def batch(net: str, loss: str, generator: torch.Generator, rows: int = ROWS) -> Batch:
    x = torch.randn(rows, 24, generator=generator)
    labels = (x[:, :3] > 0).sum(1)
    if net == "transformer":
        x = torch.randint(0, 16, (rows, 10), generator=generator)
        labels = (x + x.roll(1, 1)) % CLASSES
    y = F.one_hot(labels, CLASSES).float() if loss == "mse" else labels
    return Batch(x, y, torch.ones(rows))


def losses(output: Tensor, given: Batch) -> Tensor:
    """(rows,): the part that each sample has in the loss of the batch."""
    if given.y.is_floating_point():
        each = (output - given.y).pow(2).flatten(1).mean(1)
    else:
        each = F.cross_entropy(output.movedim(-1, 1), given.y, reduction="none").reshape(len(output), -1).mean(1)
    return given.weight * each / len(output)


def spoil(given: Batch, rows: Sequence[int], how: str, draw: random.Random) -> None:
    for row in rows:
        if how == "inputs":
            given.x[row] *= 10 ** draw.uniform(2.5, 4.0)
        elif how == "targets" and given.y.is_floating_point():
            given.y[row] = 1e4
        else:
            given.weight[row] = 1e4


def norm(gradients: Sequence[Tensor | None]) -> float:
    return float(torch.stack([one.norm() for one in gradients if one is not None]).norm())


@dataclass
class Case:
    """A step at which the gradient's norm is far from the usual one, before the optimizer's step."""

    model: nn.Module
    given: Given
    usual: float
    norm: float
    planted: tuple[int, ...]
    at_fault: tuple[int, ...]
    """Those planted whose own part of the gradient is ``FAR`` above the usual norm."""
    healthy: tuple[float, ...]
    """The norms of the training before."""
    alone: tuple[float, ...]
    """The norm of each sample's own part of the gradient."""


def case(net: str, loss: str, how: str, seed: int, count: int | None = None, steps: int = STEPS) -> Case:
    torch.manual_seed(seed)
    draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    model = NETS[net]()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    healthy = []
    for _ in range(steps):
        ordinary = batch(net, loss, generator)
        optimizer.zero_grad()
        losses(model(ordinary.x), ordinary).sum().backward()
        healthy.append(norm([one.grad for one in model.parameters()]))
        optimizer.step()
    usual = float(torch.tensor(healthy[-50:]).median())
    bad = batch(net, loss, generator)
    planted = sorted(draw.sample(range(ROWS), draw.randint(1, 3) if count is None else count))
    spoil(bad, planted, how, draw)
    return spoilt(model, bad, usual, planted, healthy)


def spoilt(model: nn.Module, bad: Batch, usual: float, planted: Sequence[int], healthy: Sequence[float]) -> Case:
    capture = Capture(model, replays=True)
    each = losses(model(bad.x), bad)
    capture.rest()
    model.zero_grad()
    held = list(model.parameters())
    alone = [norm(torch.autograd.grad(one, held, retain_graph=True, allow_unused=True)) for one in each]
    capture.given.cotangents.clear()
    each.sum().backward()
    given: Any = capture.given
    total = norm([one.grad for one in held])
    at_fault = tuple(row for row in planted if not alone[row] <= FAR * usual)
    return Case(model, given, usual, total, tuple(planted), at_fault, tuple(healthy), tuple(alone))
