"""Transformers with attention written by hand: encoder, decoder, and one that reads a sequence and writes another."""

from __future__ import annotations

import torch
from torch import nn

from bench.corpus.models.parts import ACTIVATIONS, Net, norm_of


class Attention(nn.Module):
    """Several looks of ``width`` ÷ ``heads`` features each; ``sharp`` multiplies the usual scale of the logits."""

    def __init__(self, width: int, heads: int, sharp: float, causal: bool):
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.heads, self.causal = heads, causal
        self.scale = sharp * (width // heads) ** -0.5

    def forward(self, x, seen):
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, y in ((self.query, x), (self.key, seen), (self.value, seen))
        )
        logits = q @ k.mT * self.scale
        if self.causal:
            later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            logits = logits.masked_fill(later, float("-inf"))
        weights = torch.softmax(logits, dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


LOOK = ("activation", "norm", "place", "skip", "sharp")
"""What a net hands on to its blocks."""


class Block(nn.Module):
    """Attention, then two linear layers; normalised before ("pre"), after ("post") or not at all; with or without skips."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool,
        activation: str = "gelu",
        norm: str = "layer",
        place: str = "pre",
        skip: bool = True,
        sharp: float = 1.0,
    ):
        super().__init__()
        self.attention = Attention(width, heads, sharp, causal)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(2))
        self.act = ACTIVATIONS[activation]
        self.place, self.skip = place, skip

    def forward(self, x, seen=None):
        y = self.norms[0](x) if self.place == "pre" else x
        y = self.attention(y, y if seen is None else seen)
        x = x + y if self.skip else y
        x = self.norms[0](x) if self.place == "post" else x
        y = self.norms[1](x) if self.place == "pre" else x
        y = self.down(self.act(self.up(y)))
        x = x + y if self.skip else y
        return self.norms[1](x) if self.place == "post" else x


class Encoder(Net):
    """Reads a sequence, (batch, steps, features), and answers from the mean over its steps."""

    def __init__(
        self, inputs: int, outputs: int, *, steps: int = 8, depth: int = 2, width: int = 16, heads: int = 2, **shared
    ):
        super().__init__()
        look = {name: shared.pop(name) for name in LOOK if name in shared}
        self.stem = nn.Linear(inputs, width)
        self.place = nn.Parameter(0.1 * torch.randn(steps, width))
        self.blocks = nn.ModuleList(Block(width, heads, **look, causal=False) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.draw_(**shared)

    def forward(self, x):
        x = self.stem(x) + self.place
        for block in self.blocks:
            x = block(x)
            x = self.flaw(x)
        return self.last(self.head(x.mean(1)))


class Decoder(Net):
    """Reads tokens, (batch, steps), and names the next at each step: (batch, outputs, steps)."""

    def __init__(
        self, inputs: int, outputs: int, *, steps: int = 16, depth: int = 2, width: int = 24, heads: int = 2, **shared
    ):
        super().__init__()
        look = {name: shared.pop(name) for name in LOOK if name in shared}
        self.embed = nn.Embedding(inputs, width)
        self.place = nn.Parameter(0.1 * torch.randn(steps, width))
        self.blocks = nn.ModuleList(Block(width, heads, **look, causal=True) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.draw_(last=None, **shared)

    def forward(self, x):
        x = self.embed(x) + self.place
        for block in self.blocks:
            x = block(x)
            x = self.flaw(x)
        return self.head(x).mT


class Translator(Net):
    """Reads (batch, 2, steps), the source and the target so far; names the target at each step."""

    def __init__(
        self, inputs: int, outputs: int, *, steps: int = 5, depth: int = 1, width: int = 24, heads: int = 2, **shared
    ):
        super().__init__()
        look = {name: shared.pop(name) for name in LOOK if name in shared}
        self.embed = nn.Embedding(inputs, width)
        self.place = nn.Parameter(0.1 * torch.randn(steps, width))
        self.reading = nn.ModuleList(Block(width, heads, **look, causal=False) for _ in range(depth))
        self.writing = nn.ModuleList(Block(width, heads, **look, causal=True) for _ in range(depth))
        self.crossing = nn.ModuleList(Block(width, heads, **look, causal=False) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.draw_(last=None, **shared)

    def forward(self, x):
        source = self.embed(x[:, 0]) + self.place
        target = self.embed(x[:, 1]) + self.place
        for block in self.reading:
            source = block(source)
            source = self.flaw(source)
        for write, cross in zip(self.writing, self.crossing, strict=True):
            target = cross(write(target), source)
        return self.head(target).mT
