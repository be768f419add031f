"""Arithmetic at the edges of the number format: numbers too small for it, and those that are none.

Each twin computes the same in a wider format, in the logarithm, or with an epsilon where one belongs.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case, Made
from bench.suite.sick.tasks import Data, adam, assemble, cancer, curve, diabetes, digits, images, raw_digits, reconstruction, sgd


def in_half(data: Data, dtype: torch.dtype = torch.float16) -> Data:
    x, y = data
    return x.to(dtype), y.to(dtype) if y.is_floating_point() else y


def mlp(width: int = 64, outputs: int = 10) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))


def fine_tuned(dtype: torch.dtype) -> Made:
    """A rate of 1e-5, as for fine-tuning large models, on weights that are themselves kept in ``dtype``."""
    return assemble(mlp(512).to(dtype), in_half(digits(), dtype), adam(1e-5), loss_fn=score_in_float)


def score_in_float(scores, y):
    return F.cross_entropy(scores.float(), y)


class Autocast(nn.Module):
    """An autoencoder under autocast, its training loop without a gradient scaler."""

    def __init__(self, dtype):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16))
        self.decoder = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 64))
        self.dtype = dtype

    def forward(self, x):
        with torch.autocast("cpu", dtype=self.dtype):
            return self.decoder(self.encoder(x))


def weighted(output, target):
    """One term of a larger loss, with the small weight that belongs to it there."""
    return 1e-6 * F.mse_loss(output.float(), target)


def half_precision(dtype) -> Made:
    """The whole model in ``dtype``, Adam with its default epsilon of 1e-8, which float16 cannot hold."""
    return assemble(mlp().to(dtype), in_half(digits(), dtype), adam(1e-3), loss_fn=score_in_float)


@cache
def tags(length: int = 60, kinds: int = 6) -> Data:
    """Sequences to be tagged step by step: x (1000, length, 8), y (1000, length)."""
    noise = torch.Generator().manual_seed(19)
    y = torch.randint(kinds, (1000, length), generator=noise)
    centres = torch.randn(kinds, 8, generator=noise)
    return centres[y] + 0.5 * torch.randn(1000, length, 8, generator=noise), y


class StepTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 6))

    def forward(self, x):
        return self.net(x)


def unlikelihood(scores, y):
    """One minus the likelihood of a whole sequence: a product of sixty probabilities."""
    chosen = scores.softmax(-1).gather(-1, y[..., None]).squeeze(-1)
    return 1 - chosen.prod(dim=-1).mean()


def step_likelihood(scores, y):
    return F.cross_entropy(scores.transpose(1, 2), y)


class RadialBasis(nn.Module):
    """Gaussians around samples; squared distances in 64 dimensions are of the order of 100."""

    def __init__(self, gamma: float):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(80, 64))
        self.weights = nn.Linear(80, 10)
        self.gamma = gamma

    def forward(self, x):
        squares = torch.cdist(x, self.centres).pow(2)
        return self.weights(torch.exp(-self.gamma * squares))


CASES: tuple[Case, ...] = (
    Case(
        "bfloat16-swallows-small-updates",
        "mlp",
        lambda: fine_tuned(torch.bfloat16),
        steps=300,
        causes=("SG108", "SG106"),
        twin=lambda: fine_tuned(torch.float32),
    ),
    Case(
        "autocast-float16-unscaled",
        "autoencoder",
        lambda: assemble(Autocast(torch.float16), reconstruction(), loss_fn=weighted),
        causes=("SG108",),
        twin=lambda: assemble(Autocast(torch.bfloat16), reconstruction(), loss_fn=weighted),
    ),
    Case(
        "float16-adam-epsilon",
        "mlp",
        lambda: half_precision(torch.float16),
        causes=("SG108", "SG203", "SG204"),
        twin=lambda: half_precision(torch.float32),
    ),
    Case(
        "likelihood-as-a-product",
        "sequence",
        lambda: assemble(StepTagger(), tags(), adam(3e-3), loss_fn=unlikelihood),
        causes=("SG108",),
        line="chosen.prod(dim=-1)",
        twin=lambda: assemble(StepTagger(), tags(), adam(3e-3), loss_fn=step_likelihood),
    ),
    Case(
        "gaussians-too-narrow",
        "rbf",
        lambda: assemble(RadialBasis(2.0), digits(), adam(1e-2)),
        causes=("SG108", "SG102", "SG105"),
        line="torch.exp(-self.gamma * squares)",
        twin=lambda: assemble(RadialBasis(0.01), digits(), adam(1e-2)),
    ),
)
