"""Nets for tables: residual with batch normalisation, mixtures of experts, and one that tags."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.models.feedforward import MLP
from bench.corpus.models.generators import Stack
from bench.corpus.models.parts import Net, flaw_of, initialise_, norm_of


class Tabular(Net):
    """Blocks of normalisation, two layers and dropout beside a skip (Gorishniy et al. 2021)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 32,
        norm: str = "batch",
        drop: float = 0.1,
        skip: bool = True,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.norms = nn.ModuleList(norm_of(norm, width) for _ in range(depth))
        self.up = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(width, outputs)
        self.skip = skip
        self.end_(**shared)

    def forward(self, x):
        x = self.stem(x)
        for norm, up, down in zip(self.norms, self.up, self.down, strict=True):
            y = self.drop(down(self.drop(self.act(up(norm(x))))))
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(self.act(x)))


class Experts(nn.Module):
    """Nets side by side, weighed by a router (Jacobs et al. 1991), or the likeliest alone (Fedus et al. 2022).

    ``route``: "soft", "top" (the likeliest, times its weight) or "pick" (the likeliest, and the router learns nothing).
    ``sharp`` multiplies the router's logits.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 1,
        width: int = 16,
        experts: int = 4,
        route: str = "soft",
        sharp: float = 1.0,
        activation: str = "relu",
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        widths = [inputs, *[width] * depth, outputs]
        self.experts = nn.ModuleList(Stack(widths, activation, "none", flaw, amount) for _ in range(experts))
        self.router = nn.Linear(inputs, experts)
        self.route, self.sharp = route, sharp
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)

    def forward(self, x):
        weight = torch.softmax(self.sharp * self.router(x), dim=-1)
        if self.route != "soft":
            picked = F.one_hot(weight.argmax(-1), weight.shape[-1])
            weight = weight * picked if self.route == "top" else picked.to(x.dtype)
        answers = torch.stack([expert(x) for expert in self.experts], 1)
        return self.last((weight[..., None] * answers).sum(1))


class Tagger(MLP):
    """Logits of tags that do not exclude each other while it trains, their probabilities in evaluation."""

    def forward(self, x):
        logits = super().forward(x)
        return logits if self.training else torch.sigmoid(logits)
