"""Plain and residual nets of linear layers."""

from __future__ import annotations

import torch
from torch import nn

from bench.corpus.models.parts import Net, norm_of


class MLP(Net):
    """``depth`` hidden layers of one width."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 3,
        width: int = 32,
        norm: str = "none",
        bias: float = 0.0,
        **shared,
    ):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.end_(**shared)
        if bias:
            for layer in self.layers:
                nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.act(norm(layer(x)))
            x = self.flaw(x)
        return self.last(self.head(x))


class Residual(Net):
    """``depth`` blocks beside a skip, each of ``span`` layers; ``scale`` on the branch, ``place`` of the normalisation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 4,
        width: int = 32,
        span: int = 2,
        norm: str = "none",
        place: str = "pre",
        scale: float = 1.0,
        zero: bool = False,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(nn.ModuleList(nn.Linear(width, width) for _ in range(span)) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.place, self.scale = place, scale
        self.end_(**shared)
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


class Mixer(Net):
    """Mixes along the sequence, then along the features (Tolstikhin et al. 2021); input (batch, steps, features)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        steps: int = 8,
        depth: int = 2,
        width: int = 24,
        norm: str = "layer",
        skip: bool = True,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.along = nn.ModuleList(nn.Linear(steps, steps) for _ in range(depth))
        self.across = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.skip = skip
        self.end_(**{"activation": "gelu", **shared})

    def forward(self, x):
        x = self.stem(x)
        for along, across, norm in zip(self.along, self.across, self.norms, strict=True):
            y = self.act(along(norm(x).mT).mT)
            y = self.act(across(y))
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(x.mean(1)))


class DeepSet(Net):
    """A net on each element, a pool, a net on the whole (Zaheer et al. 2017); input (batch, elements, features)."""

    def __init__(self, inputs: int, outputs: int, *, depth: int = 2, width: int = 32, pool: str = "mean", **shared):
        super().__init__()
        self.each = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth))
        self.whole = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.pool = {"mean": torch.mean, "sum": torch.sum, "max": torch.amax}[pool]
        self.end_(**shared)

    def forward(self, x):
        for layer in self.each:
            x = self.act(layer(x))
            x = self.flaw(x)
        x = self.pool(x, dim=1)
        for layer in self.whole:
            x = self.act(layer(x))
        return self.last(self.head(x))
