"""Graph nets on one graph: convolution (Kipf & Welling 2017), sums beside the node itself, attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.models.parts import Net, norm_of
from bench.corpus.tasks import block_adjacency


class Graph(Net):
    """Every node answers; ``kept`` of a node's own first features returns in each layer (Chen et al. 2020)."""

    def __init__(self, inputs: int, outputs: int, *, depth: int = 2, width: int = 16, kept: float = 0.0, **shared):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.register_buffer("adjacency", block_adjacency())
        self.kept = kept
        self.end_(**shared)

    def forward(self, x):
        first = x = self.act(self.stem(x))
        for layer in self.layers:
            x = (1 - self.kept) * (self.adjacency @ x) + self.kept * first
            x = self.act(layer(x))
            x = self.flaw(x)
        return self.last(self.head(x))


class Sage(Net):
    """A layer for the node itself and one for its neighbours' mean (Hamilton et al. 2017)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 16,
        norm: str = "none",
        skip: bool = False,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.near = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.register_buffer("adjacency", block_adjacency())
        self.skip = skip
        self.end_(**shared)

    def forward(self, x):
        x = self.stem(x)
        for own, near, norm in zip(self.own, self.near, self.norms, strict=True):
            y = self.act(norm(own(x) + near(self.adjacency @ x)))
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(x))


class GAT(Net):
    """Each node weighs its neighbours by attention (Veličković et al. 2018); ``sharp`` multiplies its logits."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 16,
        sharp: float = 1.0,
        skip: bool = False,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.asks = nn.ModuleList(nn.Linear(width, 1) for _ in range(depth))
        self.told = nn.ModuleList(nn.Linear(width, 1) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.register_buffer("apart", block_adjacency() == 0)
        self.sharp, self.skip = sharp, skip
        self.end_(**{"activation": "elu", **shared})

    def forward(self, x):
        x = self.stem(x)
        for layer, asks, told in zip(self.layers, self.asks, self.told, strict=True):
            y = layer(x)
            logits = self.sharp * F.leaky_relu(asks(y) + told(y).T, 0.2)
            weights = torch.softmax(logits.masked_fill(self.apart, float("-inf")), dim=-1)
            y = self.act(weights @ y)
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(x))
