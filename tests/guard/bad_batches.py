"""Training runs in which a few samples of one batch are beyond all measure, and what the guard knows when they come."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.explain.capture import Capture, Given

ROWS, STEPS, CLASSES = 64, 100, 5
FAR = 3.0
"""Times the usual norm from which a step is no usual one."""


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


def spoilt(ordinary: Batch, rows: Sequence[int], how: str, draw: random.Random) -> Batch:
    """These rows with inputs far too large, or with an absurd target (of a class: an absurd weight)."""
    bad = Batch(ordinary.x.clone(), ordinary.y.clone(), ordinary.weight.clone())
    for row in rows:
        if how == "inputs":
            bad.x[row] *= 10 ** draw.uniform(2.5, 4.0)
        elif bad.y.is_floating_point():
            bad.y[row] = 1e4
        else:
            bad.weight[row] = 1e4
    return bad


def norm(gradients: Sequence[Tensor | None]) -> float:
    return float(torch.stack([one.norm() for one in gradients if one is not None]).norm())


@dataclass
class Case:
    """A step at which the gradient's norm is far from the usual one, before the optimizer's step."""

    model: nn.Module
    bad: Batch
    given: Given
    norm: float
    usual: float
    planted: tuple[int, ...]
    at_fault: tuple[int, ...]
    """Those planted that alone make the norm of the batch more than ``FAR`` times the usual one."""
    healthy: tuple[float, ...]
    """The norms of the training before."""


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
    ordinary = batch(net, loss, generator)
    planted = sorted(draw.sample(range(ROWS), draw.randint(1, 3) if count is None else count))
    bad = spoilt(ordinary, planted, how, draw)
    only = [norm_of(model, mixed(ordinary, bad, row)) for row in planted]
    at_fault = [row for row, one in zip(planted, only, strict=True) if not one <= FAR * usual]
    return Case(model, bad, *step(model, bad), usual, tuple(planted), tuple(at_fault), tuple(healthy))


def step(model: nn.Module, bad: Batch) -> tuple[Given, float]:
    """What the capture has of forward and backward on this batch, and the gradient's norm."""
    capture = Capture(model, replays=True)
    model.zero_grad()
    losses(model(bad.x), bad).sum().backward()
    capture.rest()
    assert capture.given is not None
    return capture.given, norm([one.grad for one in model.parameters()])


def norm_of(model: nn.Module, given: Batch) -> float:
    """The norm on another batch with the random numbers of the next step; the model stays as it is."""
    twin, state = copy.deepcopy(model), torch.get_rng_state()
    losses(twin(given.x), given).sum().backward()
    torch.set_rng_state(state)
    return norm([one.grad for one in twin.parameters()])


def mixed(ordinary: Batch, bad: Batch, row: int) -> Batch:
    """The batch with one row of the other."""
    one = Batch(ordinary.x.clone(), ordinary.y.clone(), ordinary.weight.clone())
    one.x[row], one.y[row], one.weight[row] = bad.x[row], bad.y[row], bad.weight[row]
    return one
