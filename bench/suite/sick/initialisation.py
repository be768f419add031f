"""Nets whose weights do not fit their activation: default weights in deep stacks, too small, too large, all alike.

Each twin is the same net with weights drawn to suit (He, Xavier, orthogonal), nothing else changed.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case
from bench.suite.sick.tasks import adam, assemble, curve, digits, images, sgd


def relu_tower(depth: int, he: bool = False) -> nn.Sequential:
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    if he:
        for m in model[:-1]:
            if isinstance(m, nn.Linear):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)
    return model


class Plain(nn.Module):
    """A plain stack; ``draw_`` fills each hidden weight, and without it torch's default stands."""

    def __init__(self, depth, activation, draw_=None, *, width=64, inputs=64, outputs=10):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, outputs)
        self.activation = activation
        if draw_ is not None:
            for fc in self.hidden:
                draw_(fc.weight)
                nn.init.zeros_(fc.bias)

    def forward(self, x):
        x = self.stem(x)
        for fc in self.hidden:
            x = self.activation(fc(x))
        return self.head(x)


class FunctionalTanh(nn.Module):
    def __init__(self, depth, gain=None):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.classifier = nn.Linear(64, 10)
        if gain is not None:
            self.apply(lambda m: nn.init.orthogonal_(m.weight, gain) if isinstance(m, nn.Linear) else None)

    def forward(self, x):
        for i in range(len(self.layers)):
            x = torch.tanh(self.layers[i](x))
        return self.classifier(x)


def small_weights_(model: nn.Module, std: float) -> nn.Module:
    for m in model.modules():
        if isinstance(m, nn.Linear):
            m.weight.data.normal_(0.0, std)
            m.bias.data.zero_()
    return model


class DeepConv(nn.Module):
    def __init__(self, depth, he=False, channels=12):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.convs = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth)])
        self.fc = nn.Linear(channels * 16, 10)
        if he:
            for conv in self.convs:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.fc(x.flatten(1))


class Handmade(nn.Module):
    """Weights as bare parameters and a matrix product, drawn by hand."""

    def __init__(self, scale, depth=12, width=48):
        super().__init__()
        sizes = [64] + [width] * depth
        self.weights = nn.ParameterList(nn.Parameter(scale * torch.randn(i, o)) for i, o in pairwise(sizes))
        self.head = nn.Parameter(torch.randn(width, 10) / math.sqrt(width))

    def forward(self, x):
        for w in self.weights:
            x = torch.relu(x @ w)
        return x @ self.head


class TransposedTower(nn.Module):
    """A deconvolution tower at a fixed size, with leaky units; the layers made by a helper."""

    def __init__(self, layers, bound):
        super().__init__()
        self.blocks = nn.Sequential(*(self.block(bound) for _ in range(layers)))
        self.up = nn.ConvTranspose2d(1, 8, 3, padding=1)
        self.out = nn.Linear(8 * 64, 10)

    @staticmethod
    def block(bound):
        layer = nn.ConvTranspose2d(8, 8, 3, padding=1)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)
        return nn.Sequential(layer, nn.LeakyReLU(0.1))

    def forward(self, x):
        return self.out(self.blocks(self.up(x)).flatten(1))


def uniform_01_(w):
    nn.init.uniform_(w, 0, 1)


def uniform_he_(w):
    nn.init.uniform_(w, -math.sqrt(6 / w.shape[1]), math.sqrt(6 / w.shape[1]))


def half_orthogonal_(w):
    nn.init.orthogonal_(w, gain=0.5)


def relu_orthogonal_(w):
    nn.init.orthogonal_(w, gain=math.sqrt(2))


def xavier_tenth_(w):
    nn.init.xavier_normal_(w, gain=0.1)


def std_half_(w):
    nn.init.normal_(w, std=0.5)


def tiny_constant_(w):
    nn.init.constant_(w, 0.001)


CASES: tuple[Case, ...] = (
    Case(
        "relu-30-default-sequential",
        "mlp",
        lambda: assemble(relu_tower(30), digits()),
        causes=("SG301",),
        line="nn.Linear(64, 64)",
        twin=lambda: assemble(relu_tower(30, he=True), digits()),
        source="He et al. 2015",
    ),
    Case(
        "relu-30-default-sgd",
        "mlp",
        lambda: assemble(Plain(30, torch.relu), digits(), sgd(0.03)),
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(Plain(30, torch.relu, relu_orthogonal_), digits(), sgd(0.03)),
    ),
    Case(
        "tanh-30-default",
        "mlp",
        lambda: assemble(FunctionalTanh(30), digits()),
        causes=("SG301",),
        line="self.layers[i](x)",
        twin=lambda: assemble(FunctionalTanh(30, 1.0), digits()),
        source="Glorot & Bengio 2010",
    ),
    Case(
        "tanh-100-default",
        "mlp",
        lambda: assemble(FunctionalTanh(100), digits(), adam(3e-4)),
        causes=("SG301",),
        line="self.layers[i](x)",
        twin=lambda: assemble(FunctionalTanh(100, 1.02), digits(), adam(3e-4)),
    ),
    Case(
        "gelu-50-default",
        "mlp",
        lambda: assemble(Plain(50, F.gelu), digits(), adam(3e-4)),
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(Plain(50, F.gelu, relu_orthogonal_), digits(), adam(3e-4)),
    ),
    Case(
        "silu-30-xavier",
        "mlp",
        lambda: assemble(Plain(30, F.silu, nn.init.xavier_uniform_), digits(), adam(3e-4)),
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(Plain(30, F.silu, lambda w: nn.init.orthogonal_(w, gain=1.6)), digits(), adam(3e-4)),
    ),
    Case(
        "elu-50-default",
        "mlp",
        lambda: assemble(Plain(50, F.elu), digits(), adam(3e-4)),
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(Plain(50, F.elu, lambda w: nn.init.orthogonal_(w, gain=1.1)), digits(), adam(3e-4)),
    ),
    Case(
        "relu-10-std-0.01",
        "mlp",
        lambda: assemble(small_weights_(relu_tower(10), 0.01), digits()),
        causes=("SG301",),
        line="nn.Linear(64, 64)",
        twin=lambda: assemble(small_weights_(relu_tower(10), 0.18), digits()),
    ),
    Case(
        "conv-relu-30-default",
        "conv",
        lambda: assemble(DeepConv(30), images()),
        steps=150,
        causes=("SG301",),
        line="conv(x)",
        twin=lambda: assemble(DeepConv(30, he=True), images()),
    ),
    Case(
        "conv-transpose-20-small",
        "conv",
        lambda: assemble(TransposedTower(20, 0.05), images()),
        steps=150,
        causes=("SG301",),
        line="nn.ConvTranspose2d(8, 8, 3, padding=1)",
        twin=lambda: assemble(TransposedTower(20, 0.29), images()),
    ),
    Case(
        "weights-uniform-0-1",
        "mlp",
        lambda: assemble(Plain(8, torch.relu, uniform_01_), digits()),
        causes=("SG301", "SG201", "SG205"),
        line="fc(x)",
        twin=lambda: assemble(Plain(8, torch.relu, uniform_he_), digits()),
    ),
    Case(
        "weights-std-half-wide",
        "mlp",
        lambda: assemble(Plain(15, torch.relu, std_half_), digits(), sgd(0.01)),
        causes=("SG301", "SG201", "SG205"),
        line="fc(x)",
        twin=lambda: assemble(Plain(15, torch.relu, uniform_he_), digits(), sgd(0.01)),
    ),
    Case(
        "handmade-randn-weights",
        "mlp",
        lambda: assemble(Handmade(1.0), digits(), sgd(0.03)),
        steps=400,
        causes=("SG301", "SG201", "SG205"),
        line="nn.Parameter(scale * torch.randn(i, o))",
        twin=lambda: assemble(Handmade(0.2), digits(), sgd(0.03)),
    ),
    Case(
        "handmade-tiny-weights",
        "mlp",
        lambda: assemble(Handmade(0.02), digits(), sgd(0.03)),
        causes=("SG301",),
        line="nn.Parameter(scale * torch.randn(i, o))",
        twin=lambda: assemble(Handmade(0.2), digits(), sgd(0.03)),
    ),
    Case(
        "leaky-relu-50-xavier",
        "mlp",
        lambda: assemble(Plain(50, F.leaky_relu, nn.init.xavier_normal_), digits(), adam(3e-4)),
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(Plain(50, F.leaky_relu, relu_orthogonal_), digits(), adam(3e-4)),
    ),
    Case(
        "relu-30-orthogonal-half",
        "mlp",
        lambda: assemble(Plain(30, torch.relu, half_orthogonal_), digits()),
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(Plain(30, torch.relu, relu_orthogonal_), digits()),
    ),
    Case(
        "regression-tanh-12-xavier-tenth",
        "mlp",
        lambda: assemble(
            Plain(12, torch.tanh, xavier_tenth_, inputs=4, outputs=1, width=48), curve(), sgd(0.03), loss_fn=F.mse_loss
        ),
        steps=300,
        causes=("SG301",),
        line="fc(x)",
        twin=lambda: assemble(
            Plain(12, torch.tanh, nn.init.xavier_normal_, inputs=4, outputs=1, width=48),
            curve(),
            sgd(0.03),
            loss_fn=F.mse_loss,
        ),
    ),
    Case(
        "weights-all-alike",
        "mlp",
        lambda: assemble(Plain(12, torch.relu, tiny_constant_), digits()),
        causes=("SG301", "SG105"),
        line="fc(x)",
        twin=lambda: assemble(Plain(12, torch.relu, uniform_he_), digits()),
    ),
    Case(
        "weights-all-zero",
        "mlp",
        lambda: assemble(Plain(4, torch.relu, nn.init.zeros_), digits()),
        causes=("SG301", "SG107"),
        line="draw_(fc.weight)",
        twin=lambda: assemble(Plain(4, torch.relu, uniform_he_), digits()),
    ),
)
