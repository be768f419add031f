"""A graph convolutional net on one graph (Kipf & Welling 2017)."""

from __future__ import annotations

from torch import nn

from bench.corpus.models.parts import ACTIVATIONS, flaw_of, initialise_
from bench.corpus.tasks import block_adjacency


class Graph(nn.Module):
    """Every node answers; ``kept`` of a node's own first features returns in each layer (Chen et al. 2020)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 16,
        activation: str = "relu",
        kept: float = 0.0,
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.register_buffer("adjacency", block_adjacency())
        self.act = ACTIVATIONS[activation]
        self.kept = kept
        self.flaw = flaw_of(flaw, amount)
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)

    def forward(self, x):
        first = x = self.act(self.stem(x))
        for layer in self.layers:
            x = (1 - self.kept) * (self.adjacency @ x) + self.kept * first
            x = self.act(layer(x))
            x = self.flaw(x)
        return self.last(self.head(x))
