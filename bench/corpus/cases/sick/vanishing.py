"""Nets that lose their gradient by plain arithmetic on the trunk: a small factor, a mean, a power, at every layer.

The layers are initialised well; each twin takes the factor away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import sick_case
from bench.corpus.cases.nets import Factored, he
from bench.corpus.cases.parts import adam, assemble, curve, digits, images, sgd


class DampedResidual(nn.Module):
    """A residual net that scales the sum, so the skip too is scaled at every block."""

    def __init__(self, scale, blocks=20):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(he(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(blocks))
        self.head = nn.Linear(64, 10)
        self.scale = scale

    def forward(self, x):
        for block in self.blocks:
            x = (x + block(x)) * self.scale
        return self.head(x)


class WronglyScaled(nn.Module):
    """The 1/width that belongs to attention scores, put on every layer's output."""

    def __init__(self, divisor, width=64):
        super().__init__()
        self.layers = nn.ModuleList(he(width, width) for _ in range(8))
        self.head = nn.Linear(width, 10)
        self.divisor = divisor

    def forward(self, x):
        for layer in self.layers:
            x = F.gelu(layer(x) / self.divisor)
        return self.head(x)


class Ensemble(nn.Module):
    """Each layer is the mean of several independent experts, whose answers cancel."""

    def __init__(self, experts, depth=14, width=32):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(experts))
            for _ in range(depth)
        )
        for m in self.layers.modules():
            if isinstance(m, nn.Linear):
                nn.init.orthogonal_(m.weight)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.stem(x)
        for experts in self.layers:
            x = torch.stack([expert(x) for expert in experts]).mean(0)
        return self.head(x)


class Cubed(nn.Module):
    """A power as activation: small values become smaller still, and the one large value explodes."""

    def __init__(self, power, depth=4):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(64 if i == 0 else 48, 48) for i in range(depth))
        self.head = nn.Linear(48, 10)
        self.power = power

    def forward(self, x):
        for fc in self.fcs:
            x = torch.pow(fc(x), self.power)
        return self.head(x)


class SelfGated(nn.Module):
    """Each layer multiplies its input by a gate near one half."""

    def __init__(self, double):
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(64, 64) for _ in range(30))
        self.head = nn.Linear(64, 10)
        self.double = double

    def forward(self, x):
        for gate in self.gates:
            x = x * torch.sigmoid(gate(x))
            if self.double:
                x = 2 * x
        return self.head(x)


class Blurred(nn.Module):
    """A mean over neighbours after every convolution, until every place holds the same."""

    def __init__(self, pool, depth=16):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(12, 12, 1) for _ in range(depth))
        for conv in self.convs:
            nn.init.orthogonal_(conv.weight)
        self.fc = nn.Linear(12 * 64, 10)
        self.pool = pool

    def forward(self, x):
        x = self.stem(x)
        for conv in self.convs:
            x = torch.tanh(conv(x))
            if self.pool:
                x = F.avg_pool2d(x, 5, stride=1, padding=2)
        return self.fc(x.flatten(1))


class ShrinkGradient(torch.autograd.Function):
    """Identity forward, a factor backward: what a gradient-reversal layer becomes with a wrong sign and size."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


class Shrunk(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.net = nn.Sequential(he(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.factor = factor

    def forward(self, x):
        return ShrinkGradient.apply(self.net(x), self.factor)


class MeanChain(nn.Module):
    """Means of means: every level adds the mean of the level below to a zero-mean start, and halves."""

    def __init__(self, shrink, depth=24):
        super().__init__()
        self.proj = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))
        for p in self.proj:
            nn.init.orthogonal_(p.weight)
        self.stem, self.head = nn.Linear(4, 32), nn.Linear(32, 1)
        self.shrink = shrink

    def forward(self, x):
        x = self.stem(x)
        for p in self.proj:
            y = torch.tanh(p(x))
            x = torch.div(y + x.mean(-1, keepdim=True), self.shrink)
        return self.head(x)


CASES = (
    sick_case("times-tenth-every-layer", "mlp", 0.9542, "SG101", line="x * self.factor")(
        lambda sick: assemble(Factored(0.1 if sick else 1.0), digits())
    ),
    sick_case("residual-sum-scaled", "residual", 0.9344, "SG101", line="(x + block(x)) * self.scale")(
        lambda sick: assemble(DampedResidual(0.2 if sick else 0.75), digits(), adam(1e-3))
    ),
    sick_case("divided-by-width", "mlp", 0.9661, "SG101", line="layer(x) / self.divisor")(
        lambda sick: assemble(WronglyScaled(64.0 if sick else 1.0), digits())
    ),
    sick_case(
        "mean-of-experts",
        "mixture",
        0.8287,
        "SG101",
        "SG301",
        line="torch.stack([expert(x) for expert in experts]).mean(0)",
    )(lambda sick: assemble(Ensemble(8 if sick else 1), digits(), sgd(0.05))),
    sick_case("cube-activation", "mlp", 0.8674, "SG204", "SG201", "SG205")(
        lambda sick: assemble(Cubed(3 if sick else 1), digits(), sgd(0.05))
    ),
    sick_case("self-gated-30", "gated", 0.8214, "SG101", "SG102", line="x * torch.sigmoid(gate(x))")(
        lambda sick: assemble(SelfGated(not sick), digits(), adam(3e-4))
    ),
    sick_case("blur-every-layer", "conv", 0.9105, "SG101", "SG105", line="F.avg_pool2d(x, 5, stride=1, padding=2)")(
        lambda sick: assemble(Blurred(sick), images(), sgd(0.03))
    ),
    sick_case(
        "custom-function-shrinks",
        "mlp",
        0.9323,
        "SG101",
        "SG106",
        line="ShrinkGradient.apply(self.net(x), self.factor)",
    )(lambda sick: assemble(Shrunk(1e-6 if sick else 1.0), digits(), sgd(0.1))),
    sick_case(
        "chain-of-means", "mlp", 0.9426, "SG101", steps=300, line="torch.div(y + x.mean(-1, keepdim=True), self.shrink)"
    )(lambda sick: assemble(MeanChain(5.0 if sick else 1.0), curve(), sgd(0.02), loss_fn=F.mse_loss)),
)
