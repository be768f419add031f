"""Nets that learn what is alike: triplets, pairs, and views of one thing among those of others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.models.generators import Stack
from bench.corpus.models.parts import initialise_


class Embedding(nn.Module):
    """What the three share: a net from a sample to a vector of ``code`` features."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 32,
        code: int = 8,
        activation: str = "relu",
        norm: str = "none",
        sharp: float = 1.0,
        square: bool = False,
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.net = Stack([inputs, *[width] * depth, code], activation, norm, flaw, amount)
        self.sharp, self.square = sharp, square
        initialise_(self, init, gain)

    def distance(self, a, b):
        """By ``square`` without a floor under the root, whose slope at zero is infinite."""
        if self.square:
            return torch.sqrt(F.relu(a - b).square().sum(-1))
        return torch.sqrt((a - b).square().sum(-1) + 1e-6)


class Triplet(Embedding):
    """Input (batch, 3, features); answers with how near each of the two candidates is (Schroff et al. 2015)."""

    def forward(self, x):
        anchor, one, other = self.net(x.flatten(0, 1)).unflatten(0, (-1, 3)).unbind(1)
        return -self.sharp * torch.stack([self.distance(anchor, one), self.distance(anchor, other)], 1)


class Siamese(Embedding):
    """Input (batch, 2, features); logits of "differs" and "is the same" by the distance (Chopra et al. 2005)."""

    def forward(self, x):
        one, other = self.net(x.flatten(0, 1)).unflatten(0, (-1, 2)).unbind(1)
        far = self.sharp * self.distance(one, other)
        return torch.stack([far, 2.0 - far], 1)


class Contrast(Embedding):
    """Input (batch, 2, features): each first view must find its second among all (InfoNCE, van den Oord et al. 2018).

    ``sharp`` is one over the temperature, times five; the loss is returned while it trains, the likenesses in evaluation.
    """

    def forward(self, x):
        one, other = F.normalize(self.net(x.flatten(0, 1)), dim=-1).unflatten(0, (-1, 2)).unbind(1)
        logits = 5.0 * self.sharp * one @ other.T
        if not self.training:
            return logits
        return {"loss": F.cross_entropy(logits, torch.arange(len(x))), "logits": logits}
