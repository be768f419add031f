"""Autoencoder, variational autoencoder, and a generator beside its discriminator.

The last two carry their loss with them: ``forward`` returns a dictionary with "loss".
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from bench.corpus.models.parts import ACTIVATIONS, flaw_of, initialise_, norm_of


class Stack(nn.Module):
    """Linear layers of the given widths, an activation between them."""

    def __init__(self, widths: list[int], activation: str, norm: str = "none", flaw: str = "", amount: float = 0.0):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(norm_of(norm, b) for b in widths[1:-1])
        self.act = ACTIVATIONS[activation]
        self.flaw = flaw_of(flaw, amount)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = self.act(norm(layer(x)))
            x = self.flaw(x)
        return self.layers[-1](x)


class Autoencoder(nn.Module):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 48,
        code: int = 12,
        activation: str = "relu",
        norm: str = "none",
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.encode = Stack([inputs, *[width] * (depth - 1), code], activation, norm, flaw, amount)
        self.decode = Stack([code, *[width] * (depth - 1), outputs], activation, norm)
        self.last = flaw_of(last, amount)
        initialise_(self, init, gain)

    def forward(self, x):
        return self.last(self.decode(self.encode(x)))


class VAE(nn.Module):
    """Kingma & Welling 2014: reconstruction plus ``beta`` times the divergence from a normal code, per feature."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 48,
        code: int = 12,
        beta: float = 0.1,
        activation: str = "relu",
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.encode = Stack([inputs, *[width] * (depth - 1), 2 * code], activation, "none", flaw, amount)
        self.decode = Stack([code, *[width] * (depth - 1), outputs], activation)
        self.beta = beta
        initialise_(self, init, gain)

    def reconstruct(self, x):
        mean, _ = self.encode(x).chunk(2, -1)
        return self.decode(mean)

    def forward(self, x):
        mean, log_variance = self.encode(x).chunk(2, -1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        reconstruction = self.decode(z)
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(-1).mean()
        loss = F.mse_loss(reconstruction, x) + self.beta * divergence / x.shape[-1]
        return {"loss": loss, "reconstruction": reconstruction}


class GAN(nn.Module):
    """A pair (Goodfellow et al. 2014) trained by one optimizer: each half's loss moves that half alone."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 3,
        width: int = 32,
        noise: int = 4,
        activation: str = "leaky_relu",
        saturating: bool = False,
        sharp: float = 1.0,
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.noise, self.saturating, self.sharp = noise, saturating, sharp
        self.generator = Stack([noise, *[width] * (depth - 1), outputs], activation, "none", flaw, amount)
        self.discriminator = Stack([inputs, *[width] * (depth - 1), 1], activation)
        initialise_(self, init, gain)

    def sample(self, count):
        return self.generator(torch.randn(count, self.noise, dtype=next(self.parameters()).dtype))

    def forward(self, x):
        fake = self.sample(len(x))
        real_logit = self.sharp * self.discriminator(x)
        fake_logit = self.sharp * self.discriminator(fake.detach())
        frozen = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        judged = self.sharp * functional_call(self.discriminator, frozen, (fake,))
        fooled = torch.log(1 - torch.sigmoid(judged)) if self.saturating else F.softplus(-judged)
        return {"loss": F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean() + fooled.mean()}
