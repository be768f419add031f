"""Nets that lose their gradient by plain arithmetic on the trunk: a small factor, a mean, a power, at every layer.

The layers are initialised well; each twin takes the factor away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case
from bench.suite.sick.tasks import adam, assemble, curve, digits, images, sgd


def he(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


class Damped(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.fcs = nn.ModuleList(he(64, 64) for _ in range(12))
        self.head = nn.Linear(64, 10)
        self.factor = factor

    def forward(self, x):
        for fc in self.fcs:
            x = torch.relu(fc(x))
            x = x * self.factor
        return self.head(x)


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


CASES: tuple[Case, ...] = (
    Case(
        "times-tenth-every-layer",
        "mlp",
        lambda: assemble(Damped(0.1), digits()),
        causes=("SG101",),
        line="x * self.factor",
        twin=lambda: assemble(Damped(1.0), digits()),
    ),
    Case(
        "residual-sum-scaled",
        "residual",
        lambda: assemble(DampedResidual(0.2), digits(), adam(1e-3)),
        causes=("SG101",),
        line="(x + block(x)) * self.scale",
        twin=lambda: assemble(DampedResidual(0.75), digits(), adam(1e-3)),
    ),
    Case(
        "divided-by-width",
        "mlp",
        lambda: assemble(WronglyScaled(64.0), digits()),
        causes=("SG101",),
        line="layer(x) / self.divisor",
        twin=lambda: assemble(WronglyScaled(1.0), digits()),
    ),
    Case(
        "mean-of-experts",
        "mixture",
        lambda: assemble(Ensemble(8), digits(), sgd(0.05)),
        causes=("SG101", "SG301"),
        line="torch.stack([expert(x) for expert in experts]).mean(0)",
        twin=lambda: assemble(Ensemble(1), digits(), sgd(0.05)),
    ),
    Case(
        "cube-activation",
        "mlp",
        lambda: assemble(Cubed(3), digits(), sgd(0.05)),
        causes=("SG204", "SG201", "SG205"),
        twin=lambda: assemble(Cubed(1), digits(), sgd(0.05)),
    ),
    Case(
        "self-gated-30",
        "gated",
        lambda: assemble(SelfGated(False), digits(), adam(3e-4)),
        causes=("SG101", "SG102"),
        line="x * torch.sigmoid(gate(x))",
        twin=lambda: assemble(SelfGated(True), digits(), adam(3e-4)),
    ),
    Case(
        "blur-every-layer",
        "conv",
        lambda: assemble(Blurred(True), images(), sgd(0.03)),
        causes=("SG101", "SG105"),
        line="F.avg_pool2d(x, 5, stride=1, padding=2)",
        twin=lambda: assemble(Blurred(False), images(), sgd(0.03)),
    ),
    Case(
        "custom-function-shrinks",
        "mlp",
        lambda: assemble(Shrunk(1e-6), digits(), sgd(0.1)),
        causes=("SG101", "SG106"),
        line="ShrinkGradient.apply(self.net(x), self.factor)",
        twin=lambda: assemble(Shrunk(1.0), digits(), sgd(0.1)),
    ),
    Case(
        "chain-of-means",
        "mlp",
        lambda: assemble(MeanChain(5.0), curve(), sgd(0.02), loss_fn=F.mse_loss),
        steps=300,
        causes=("SG101",),
        line="torch.div(y + x.mean(-1, keepdim=True), self.shrink)",
        twin=lambda: assemble(MeanChain(1.0), curve(), sgd(0.02), loss_fn=F.mse_loss),
    ),
)
