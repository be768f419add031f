"""Plain and residual nets of linear layers."""

from __future__ import annotations

import torch
from torch import nn

from bench.corpus.models.parts import ACTIVATIONS, flaw_of, initialise_, norm_of


class MLP(nn.Module):
    """``depth`` hidden layers of one width."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 3,
        width: int = 32,
        activation: str = "relu",
        init: str = "default",
        gain: float = 1.0,
        norm: str = "none",
        bias: float = 0.0,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.act = ACTIVATIONS[activation]
        self.flaw = flaw_of(flaw, amount)
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)
        if bias:
            for layer in self.layers:
                nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.act(norm(layer(x)))
            x = self.flaw(x)
        return self.last(self.head(x))


class Residual(nn.Module):
    """``depth`` blocks beside a skip, each of ``span`` layers; ``scale`` on the branch, ``place`` of the normalisation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 4,
        width: int = 32,
        span: int = 2,
        activation: str = "relu",
        init: str = "default",
        gain: float = 1.0,
        norm: str = "none",
        place: str = "pre",
        scale: float = 1.0,
        zero: bool = False,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(nn.ModuleList(nn.Linear(width, width) for _ in range(span)) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.act = ACTIVATIONS[activation]
        self.place, self.scale = place, scale
        self.flaw = flaw_of(flaw, amount)
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)
        if zero:
            for layers in self.blocks:
                nn.init.zeros_(layers[-1].weight)
                nn.init.zeros_(layers[-1].bias)

    def forward(self, x):
        x = self.stem(x)
        for layers, norm in zip(self.blocks, self.norms, strict=True):
            y = norm(x) if self.place == "pre" else x
            for layer in layers:
                y = layer(self.act(y))
            x = x + self.scale * y
            x = norm(x) if self.place == "post" else x
            x = self.flaw(x)
        return self.last(self.head(x))


class Mixer(nn.Module):
    """Mixes along the sequence, then along the features (Tolstikhin et al. 2021); input (batch, steps, features)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        steps: int = 8,
        depth: int = 2,
        width: int = 24,
        activation: str = "gelu",
        norm: str = "layer",
        skip: bool = True,
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.along = nn.ModuleList(nn.Linear(steps, steps) for _ in range(depth))
        self.across = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.act = ACTIVATIONS[activation]
        self.skip = skip
        self.flaw = flaw_of(flaw, amount)
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)

    def forward(self, x):
        x = self.stem(x)
        for along, across, norm in zip(self.along, self.across, self.norms, strict=True):
            y = self.act(along(norm(x).mT).mT)
            y = self.act(across(y))
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(x.mean(1)))


class DeepSet(nn.Module):
    """A net on each element, a pool, a net on the whole (Zaheer et al. 2017); input (batch, elements, features)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 32,
        activation: str = "relu",
        pool: str = "mean",
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.each = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth))
        self.whole = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.act = ACTIVATIONS[activation]
        self.pool = {"mean": torch.mean, "sum": torch.sum, "max": torch.amax}[pool]
        self.flaw = flaw_of(flaw, amount)
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)

    def forward(self, x):
        for layer in self.each:
            x = self.act(layer(x))
            x = self.flaw(x)
        x = self.pool(x, dim=1)
        for layer in self.whole:
            x = self.act(layer(x))
        return self.last(self.head(x))
