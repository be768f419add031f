"""Rivals that shape the activation: its slope or its scales, so that samples neither collapse nor scatter with depth."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from scipy.optimize import brentq, least_squares
from torch import Tensor, nn

from bench.rivals.nets import Net, activation, head, layers
from bench.rivals.numbers import orthogonal_, without_biases_

ZETA, ETA = 1.5, 0.9
"""The global slope of DKS, and the global C(0) of TAT, as in the papers."""

_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(200)
_Z = torch.tensor(_POINTS)
_SHARE = torch.tensor(_WEIGHTS / _WEIGHTS.sum())


def mean(values: Tensor) -> float:
    """Over a standard normal input, from the values at the nodes of a quadrature."""
    return float((values * _SHARE).sum())


def at_nodes(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The function and its derivative at the nodes."""
    z = _Z.clone().requires_grad_()
    value = function(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), slope


class Shaped(nn.Module):
    """γ (φ(α u + β) + δ)."""

    def __init__(self, inner: nn.Module, alpha: float, beta: float, gamma: float, delta: float) -> None:
        super().__init__()
        self.inner, self.alpha, self.beta, self.gamma, self.delta = inner, alpha, beta, gamma, delta

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * (self.inner(self.alpha * x + self.beta) + self.delta)  # type: ignore[no-any-return]


def centred(inner: nn.Module, alpha: float, beta: float) -> Shaped:
    """With the γ and δ that give mean 0 and Q(1) = 1."""
    value, _ = at_nodes(lambda z: inner(alpha * z + beta))
    middle = mean(value)
    return Shaped(inner, alpha, beta, mean((value - middle) ** 2) ** -0.5, -middle)


def conditions(function: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """(Q'(1), C'(1)) of one layer: how its output's square follows the input's, and how two like inputs part."""
    value, slope = at_nodes(function)
    return mean(value * slope * _Z), mean(slope**2)


@cache
def dks_numbers(name: str, depth: int) -> tuple[float, float]:
    """The α and β at which Q'(1) = 1 and C'(1) = ζ^(1/depth)."""
    inner = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}[name]()

    def missed(numbers: np.ndarray) -> list[float]:
        q_slope, c_slope = conditions(centred(inner, *map(float, numbers)))
        return [q_slope - 1, c_slope - ZETA ** (1 / depth)]

    starts = [(alpha, beta) for alpha in (0.2, 0.5, 1.0) for beta in (-1.0, -0.3, 0.3, 1.0)]
    found = min((least_squares(missed, start, xtol=1e-12, ftol=1e-12) for start in starts), key=lambda one: one.cost)
    return float(found.x[0]), float(found.x[1])


def leaky_c(c: float, slope: float) -> float:
    """The C map of a leaky ReLU: what the cosine of two inputs becomes."""
    share = (1 - slope) ** 2 / (np.pi * (1 + slope**2))
    return float(c + share * (np.sqrt(max(1 - c * c, 0.0)) - c * np.arccos(np.clip(c, -1, 1))))


@cache
def tat_slope(depth: int) -> float:
    """The negative slope at which C, applied ``depth`` times to 0, is η."""

    def missed(slope: float) -> float:
        c = 0.0
        for _ in range(depth):
            c = leaky_c(c, slope)
        return c - ETA

    return float(brentq(missed, 0.0, 1.0))


def shaped(net: Net) -> nn.Module:
    """The activation of DKS, or of TAT for ReLU."""
    if net.activation == "relu":
        slope = tat_slope(net.depth)
        return Shaped(nn.LeakyReLU(slope), 1.0, 0.0, (2 / (1 + slope**2)) ** 0.5, 0.0)
    return centred(activation(net), *dks_numbers(net.activation, net.depth))


def dks_or_tat(net: Net, _: Tensor) -> nn.Module:
    """Martens et al. 2021 (arXiv:2110.01765): γ (φ(α u + β) + δ) with Q(1) = Q'(1) = 1, C(0) = 0 and, of the net, C'(1) = 1.5.

    For ReLU Zhang et al. 2022 (arXiv:2203.08120): a leaky ReLU with which C(0) of the net is 0.9. Orthogonal weights.
    Simplified: without the per-location normalisation of the input, and trained by Adam in place of K-FAC.
    """
    body = layers(net)
    model = nn.Sequential(*(part for layer in body for part in (layer, shaped(net))), *head(net))
    for layer in (*body, model[-1]):
        orthogonal_(layer.weight)  # type: ignore[arg-type]
    without_biases_(model)
    return model
