"""Nets whose gradient or activations grow with depth: sums that double, factors above 1, batch norm without skips."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import sick_case
from bench.corpus.cases.nets import Factored, he
from bench.corpus.cases.parts import adam, assemble, digits, images, sgd


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


CASES = (
    sick_case("residual-40-unscaled", "exploding", 0.8365, "SG201")(
        lambda sick: assemble(Residual(40, 1.0 if sick else 40**-0.5), digits(), sgd(0.01))
    ),
    sick_case("residual-80-unscaled-adam", "exploding", 0.975, "SG201")(
        lambda sick: assemble(Residual(80, 1.0 if sick else 80**-0.5), digits(), adam(1e-3))
    ),
    sick_case("skip-added-twice", "exploding", 0.9341, "SG201")(
        lambda sick: assemble(TwiceAround(sick), digits(), sgd(0.01))
    ),
    sick_case("factor-two-a-layer", "exploding", 0.5825, "SG201", "SG205")(
        lambda sick: assemble(Factored(2.0 if sick else 1.0, 20), digits(), sgd(0.01))
    ),
    sick_case("factor-on-ten-layers", "exploding", 0.8088, "SG201", "SG205")(
        lambda sick: assemble(Factored(4.0 if sick else 1.0, 10), digits(), sgd(0.01))
    ),
    sick_case("weights-of-three-times-he", "exploding", 0.7507, "SG301", "SG201", "SG205")(
        lambda sick: assemble(Plain(3 * 2**0.5 if sick else 2**0.5, 12), digits(), sgd(0.01))
    ),
    sick_case("weights-drawn-from-normal", "exploding", 0.7972, "SG301", "SG201", "SG205")(
        lambda sick: assemble(Plain(8.0 if sick else 2**0.5, 6), digits(), sgd(0.01))
    ),
    sick_case("leaky-relu-taken-for-relu-twice", "exploding", 0.5571, "SG301", "SG201", "SG205")(
        lambda sick: assemble(Plain(2.0 * 2**0.5 if sick else 2**0.5, 24, F.leaky_relu), digits(), sgd(0.01))
    ),
    sick_case("batch-norm-60", "exploding", 0.8908, "SG302")(
        lambda sick: assemble(Normalised(60, not sick), digits(), sgd(0.02))
    ),
    sick_case("batch-norm-100-adam", "exploding", 0.9853, "SG302")(
        lambda sick: assemble(Normalised(100, not sick), digits(), adam(1e-3))
    ),
    sick_case("batch-norm-conv-100", "exploding", 0.8391, "SG302")(
        lambda sick: assemble(Convolutions(100, not sick), images(), sgd(0.1))
    ),
    sick_case("squared-six-times", "exploding", 0.8629, "SG201", "SG205", "SG204", "SG301")(
        lambda sick: assemble(Squared(2 if sick else 1), digits(), sgd(0.01))
    ),
    sick_case("four-paths-summed", "exploding", 0.5804, "SG201", "SG205", "SG301")(
        lambda sick: assemble(Summed(not sick), digits(), sgd(0.01))
    ),
)
