"""Nets whose gradient or activations grow with depth: sums that double, factors above 1, batch norm without skips."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case
from bench.suite.sick.tasks import MakeOptimizer, adam, assemble, digits, images, sgd


def he(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=gain / inputs**0.5)
    nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """Blocks x + scale · f(x) without normalisation."""

    def __init__(self, depth, scale):
        super().__init__()
        self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.blocks = nn.ModuleList(he(64, 64) for _ in range(depth))
        self.scale = scale

    def forward(self, x):
        x = self.stem(x)
        for fc in self.blocks:
            x = x + self.scale * fc(torch.relu(x))
        return self.head(x)


class TwiceAround(nn.Module):
    """A skip that is added both inside the block and around it."""

    def __init__(self, twice):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.Tanh()) for _ in range(24))
        self.head = nn.Linear(64, 10)
        self.twice = twice

    def forward(self, x):
        for block in self.blocks:
            inner = x + block(x) if self.twice else block(x)
            x = x + inner
        return self.head(x)


class Amplified(nn.Module):
    """A factor on every layer's output."""

    def __init__(self, factor, depth=20):
        super().__init__()
        self.layers = nn.ModuleList(he(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)
        self.factor = factor

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
            x = self.factor * x
        return self.head(x)


class Plain(nn.Module):
    """Layers of a given gain behind one another."""

    def __init__(self, gain, depth, activation=F.relu):
        super().__init__()
        self.layers = nn.ModuleList(he(64, 64, gain) for _ in range(depth))
        self.head = nn.Linear(64, 10)
        self.activation = activation

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.head(x)


class Normalised(nn.Module):
    """Batch norm at every layer, with or without a way around it (Yang et al. 2019: without, it explodes with depth)."""

    def __init__(self, depth, skip):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(64) for _ in range(depth))
        self.head = nn.Linear(64, 10)
        self.skip = skip

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            y = torch.relu(norm(layer(x)))
            x = x + y * len(self.layers) ** -0.5 if self.skip else y
        return self.head(x)


class Convolutions(nn.Module):
    """The same with convolutions."""

    def __init__(self, depth, skip):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU()) for _ in range(depth)
        )
        self.head = nn.Linear(12, 10)
        self.skip = skip

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x) * len(self.layers) ** -0.5 if self.skip else layer(x)
        return self.head(x.mean((2, 3)))


class Squared(nn.Module):
    """A polynomial net: each layer squares what it gets."""

    def __init__(self, power):
        super().__init__()
        self.layers = nn.ModuleList(he(64, 64, 1.6) for _ in range(6))
        self.head = nn.Linear(64, 10)
        self.power = power

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x)) ** self.power
        return self.head(x)


class Summed(nn.Module):
    """Many paths summed at every layer, or averaged."""

    def __init__(self, mean):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList(he(64, 64) for _ in range(4)) for _ in range(12))
        self.head = nn.Linear(64, 10)
        self.mean = mean

    def forward(self, x):
        for paths in self.layers:
            x = torch.relu(sum(path(x) for path in paths))
            if self.mean:
                x = x / len(paths) ** 0.5
        return self.head(x)


def flat(model, *arguments, optimizer: MakeOptimizer | None = None, data=digits):
    return lambda: assemble(model(*arguments), data(), optimizer or sgd(0.01))


GROWS = ("SG201", "SG205", "SG204", "SG301")

TABLE = (
    ("residual-40-unscaled", ("SG201",), flat(Residual, 40, 1.0), flat(Residual, 40, 40**-0.5)),
    (
        "residual-80-unscaled-adam",
        ("SG201",),
        flat(Residual, 80, 1.0, optimizer=adam(1e-3)),
        flat(Residual, 80, 80**-0.5, optimizer=adam(1e-3)),
    ),
    ("skip-added-twice", ("SG201",), flat(TwiceAround, True), flat(TwiceAround, False)),
    ("factor-two-a-layer", ("SG201", "SG205"), flat(Amplified, 2.0), flat(Amplified, 1.0)),
    ("factor-on-ten-layers", ("SG201", "SG205"), flat(Amplified, 4.0, 10), flat(Amplified, 1.0, 10)),
    ("weights-of-three-times-he", ("SG301", "SG201", "SG205"), flat(Plain, 3 * 2**0.5, 12), flat(Plain, 2**0.5, 12)),
    ("weights-drawn-from-normal", ("SG301", "SG201", "SG205"), flat(Plain, 8.0, 6), flat(Plain, 2**0.5, 6)),
    (
        "leaky-relu-taken-for-relu-twice",
        ("SG301", "SG201", "SG205"),
        flat(Plain, 2.0 * 2**0.5, 24, F.leaky_relu),
        flat(Plain, 2**0.5, 24, F.leaky_relu),
    ),
    (
        "batch-norm-60",
        ("SG302",),
        flat(Normalised, 60, False, optimizer=sgd(0.02)),
        flat(Normalised, 60, True, optimizer=sgd(0.02)),
    ),
    (
        "batch-norm-100-adam",
        ("SG302",),
        flat(Normalised, 100, False, optimizer=adam(1e-3)),
        flat(Normalised, 100, True, optimizer=adam(1e-3)),
    ),
    (
        "batch-norm-conv-100",
        ("SG302",),
        flat(Convolutions, 100, False, data=images, optimizer=sgd(0.1)),
        flat(Convolutions, 100, True, data=images, optimizer=sgd(0.1)),
    ),
    ("squared-six-times", GROWS, flat(Squared, 2), flat(Squared, 1)),
    ("four-paths-summed", ("SG201", "SG205", "SG301"), flat(Summed, False), flat(Summed, True)),
)

CASES = tuple(Case(name, "exploding", make, causes=causes, twin=twin) for name, causes, make, twin in TABLE)
