"""Nets whose weights do not fit their activation: default weights in deep stacks, too small, too large, all alike.

Each twin is the same net with weights drawn to suit (He, Xavier, orthogonal), nothing else changed.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import sick_case
from bench.corpus.cases.parts import adam, assemble, curve, digits, images, sgd


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


def uniform_he_(w):
    nn.init.uniform_(w, -math.sqrt(6 / w.shape[1]), math.sqrt(6 / w.shape[1]))


relu_orthogonal_ = partial(nn.init.orthogonal_, gain=math.sqrt(2))

CASES = (
    sick_case("relu-30-default-sequential", "mlp", 0.8183, "SG301", line="nn.Linear(64, 64)", source="He et al. 2015")(
        lambda sick: assemble(relu_tower(30, he=not sick), digits())
    ),
    sick_case("relu-30-default-sgd", "mlp", 0.3788, "SG301", line="fc(x)")(
        lambda sick: assemble(Plain(30, torch.relu, None if sick else relu_orthogonal_), digits(), sgd(0.03))
    ),
    sick_case("tanh-30-default", "mlp", 0.9286, "SG301", line="self.layers[i](x)", source="Glorot & Bengio 2010")(
        lambda sick: assemble(FunctionalTanh(30, None if sick else 1.0), digits())
    ),
    sick_case("tanh-100-default", "mlp", 0.8625, "SG301", line="self.layers[i](x)")(
        lambda sick: assemble(FunctionalTanh(100, None if sick else 1.02), digits(), adam(3e-4))
    ),
    sick_case("gelu-50-default", "mlp", 0.4564, "SG301", line="fc(x)")(
        lambda sick: assemble(Plain(50, F.gelu, None if sick else relu_orthogonal_), digits(), adam(3e-4))
    ),
    sick_case("silu-30-xavier", "mlp", 0.6558, "SG301", line="fc(x)")(
        lambda sick: assemble(
            Plain(30, F.silu, nn.init.xavier_uniform_ if sick else partial(nn.init.orthogonal_, gain=1.6)),
            digits(),
            adam(3e-4),
        )
    ),
    sick_case("elu-50-default", "mlp", 0.9447, "SG301", line="fc(x)")(
        lambda sick: assemble(
            Plain(50, F.elu, None if sick else partial(nn.init.orthogonal_, gain=1.1)), digits(), adam(3e-4)
        )
    ),
    sick_case("relu-10-std-0.01", "mlp", 0.9444, "SG301", line="nn.Linear(64, 64)")(
        lambda sick: assemble(small_weights_(relu_tower(10), 0.01 if sick else 0.18), digits())
    ),
    sick_case("conv-relu-30-default", "conv", 0.6144, "SG301", steps=150, line="conv(x)")(
        lambda sick: assemble(DeepConv(30, he=not sick), images())
    ),
    sick_case(
        "conv-transpose-20-small", "conv", 0.9104, "SG301", steps=150, line="nn.ConvTranspose2d(8, 8, 3, padding=1)"
    )(lambda sick: assemble(TransposedTower(20, 0.05 if sick else 0.29), images())),
    sick_case("weights-uniform-0-1", "mlp", 0.9698, "SG301", "SG201", "SG205", line="fc(x)")(
        lambda sick: assemble(
            Plain(8, torch.relu, partial(nn.init.uniform_, a=0, b=1) if sick else uniform_he_), digits()
        )
    ),
    sick_case("weights-std-half-wide", "mlp", 0.7201, "SG301", "SG201", "SG205", line="fc(x)")(
        lambda sick: assemble(
            Plain(15, torch.relu, partial(nn.init.normal_, std=0.5) if sick else uniform_he_), digits(), sgd(0.01)
        )
    ),
    sick_case(
        "handmade-randn-weights",
        "mlp",
        0.8974,
        "SG301",
        "SG201",
        "SG205",
        steps=400,
        line="nn.Parameter(scale * torch.randn(i, o))",
    )(lambda sick: assemble(Handmade(1.0 if sick else 0.2), digits(), sgd(0.03))),
    sick_case("handmade-tiny-weights", "mlp", 0.8044, "SG301", line="nn.Parameter(scale * torch.randn(i, o))")(
        lambda sick: assemble(Handmade(0.02 if sick else 0.2), digits(), sgd(0.03))
    ),
    sick_case("leaky-relu-50-xavier", "mlp", 0.843, "SG301", line="fc(x)")(
        lambda sick: assemble(
            Plain(50, F.leaky_relu, nn.init.xavier_normal_ if sick else relu_orthogonal_), digits(), adam(3e-4)
        )
    ),
    sick_case("relu-30-orthogonal-half", "mlp", 0.8887, "SG301", line="fc(x)")(
        lambda sick: assemble(
            Plain(30, torch.relu, partial(nn.init.orthogonal_, gain=0.5) if sick else relu_orthogonal_), digits()
        )
    ),
    sick_case("regression-tanh-12-xavier-tenth", "mlp", 0.9567, "SG301", steps=300, line="fc(x)")(
        lambda sick: assemble(
            Plain(
                12,
                torch.tanh,
                partial(nn.init.xavier_normal_, gain=0.1) if sick else nn.init.xavier_normal_,
                inputs=4,
                outputs=1,
                width=48,
            ),
            curve(),
            sgd(0.03),
            loss_fn=F.mse_loss,
        )
    ),
    sick_case("weights-all-alike", "mlp", 0.9181, "SG301", "SG105", line="fc(x)")(
        lambda sick: assemble(
            Plain(12, torch.relu, partial(nn.init.constant_, val=0.001) if sick else uniform_he_), digits()
        )
    ),
    sick_case("weights-all-zero", "mlp", 0.9758, "SG301", "SG107", line="draw_(fc.weight)")(
        lambda sick: assemble(Plain(4, torch.relu, nn.init.zeros_ if sick else uniform_he_), digits())
    ),
)
