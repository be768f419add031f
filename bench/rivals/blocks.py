"""Rivals that change the structure of a layered net: norms behind its layers, or its layers in residual blocks.

A residual net keeps the first layer as it is. The others are in branches of the form activation, layer, activation, layer, so
that nothing is squashed on the way that the skips make.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.rivals.nets import CHANNELS, WIDTH, Net, activation, head, layers
from bench.rivals.numbers import without_biases_
from bench.rivals.shaped import at_nodes, mean

ALPHA = 0.2
"""Of a net without norms: what a branch adds, as in the paper."""


class Residual(nn.Module):
    """x + gate · branch(x); without a gate it is 1."""

    def __init__(self, branch: nn.Module, gate: float | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.gate = nn.Parameter(torch.tensor(gate)) if gate is not None else 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate * self.branch(x)  # type: ignore[no-any-return]


class Scalar(nn.Module):
    """One number that is learnt, added or multiplied: the biases and multipliers of Fixup."""

    def __init__(self, *, factor: bool) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(()) if factor else torch.zeros(()))
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.value if self.factor else x + self.value


def _he_(*modules: nn.Module, scale: float = 1.0) -> None:
    for module in modules:
        nn.init.kaiming_normal_(module.weight)  # type: ignore[arg-type]
        with torch.no_grad():
            module.weight *= scale  # type: ignore[operator, misc]


def rezero(net: Net, _: Tensor) -> nn.Module:
    """Bachlechner et al. 2020 (arXiv:2003.04887): x + α F(x) with α = 0 at first; F is one layer and its activation."""
    first, *rest = layers(net)
    model = nn.Sequential(
        first, *(Residual(nn.Sequential(layer, activation(net)), 0.0) for layer in rest), activation(net), *head(net)
    )
    _he_(first, *rest)
    without_biases_(model)
    return model


def skipinit(net: Net, _: Tensor) -> nn.Module:
    """De & Smith 2020 (arXiv:2002.10444): x + α F(x) with α = 0 at first; F is two layers, each behind its activation."""
    first, *rest = layers(net)
    branches = [
        nn.Sequential(activation(net), one, activation(net), two)
        for one, two in zip(rest[::2], rest[1::2], strict=True)
    ]
    _he_(first, *rest)
    model = nn.Sequential(first, *(Residual(branch, 0.0) for branch in branches), activation(net), *head(net))
    without_biases_(model)
    return model


def fixup(net: Net, _: Tensor) -> nn.Module:
    """Zhang et al. 2019 (arXiv:1901.09321): the last layers of branches and the head are 0, the first ones × L^(−1/(2m − 2)).

    m = 2 layers a branch, L branches. A scalar bias stands before each layer and activation, a multiplier ends each branch.
    """
    first, *rest = layers(net)
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    _he_(first)
    blocks = []
    for one, two in pairs:
        _he_(one, scale=len(pairs) ** -0.5)
        nn.init.zeros_(two.weight)  # type: ignore[arg-type]
        parts: list[nn.Module] = []
        for layer in (one, two):
            parts += [Scalar(factor=False), activation(net), Scalar(factor=False), layer]
        blocks.append(Residual(nn.Sequential(*parts, Scalar(factor=True))))
    model = nn.Sequential(first, *blocks, activation(net), *head(net))
    nn.init.zeros_(model[-1].weight)  # type: ignore[arg-type]
    without_biases_(model)
    return model


class Standardised(nn.Module):
    """A layer whose weight, unit by unit, has mean 0 and variance 1 / fan-in, times a gain that is learnt."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.gain = nn.Parameter(torch.ones(layer.weight.shape[0], 1))  # type: ignore[index, union-attr]

    def weight(self) -> Tensor:
        """What the layer multiplies by."""
        raw: Tensor = self.layer.weight  # type: ignore[assignment]
        flat = raw.flatten(1)
        spread = (flat.var(1, correction=0, keepdim=True) * flat.shape[1]).clamp(min=1e-4).sqrt()
        return (self.gain * (flat - flat.mean(1, keepdim=True)) / spread).view_as(raw)

    def forward(self, x: Tensor) -> Tensor:
        bias: Tensor = self.layer.bias  # type: ignore[assignment]
        if isinstance(self.layer, nn.Conv2d):
            return F.conv2d(x, self.weight(), bias, self.layer.stride, self.layer.padding)
        return F.linear(x, self.weight(), bias)


class Factor(nn.Module):
    """A number that is not learnt."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return self.value * x


def unit_variance(inner: nn.Module) -> nn.Module:
    """The activation times the γ with which its output on a standard normal input has variance 1."""
    value, _ = at_nodes(inner)
    return nn.Sequential(inner, Factor(mean((value - mean(value)) ** 2) ** -0.5))


def norm_free(net: Net, _: Tensor) -> nn.Module:
    """Brock et al. 2021 (arXiv:2101.08692): h + α f(h / β), standardised weights, β² = 1 + i α² before block i."""
    first, *rest = layers(net)
    _he_(first, *rest)
    blocks = []
    for i, (one, two) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
        parts = [unit_variance(activation(net)), Standardised(one), unit_variance(activation(net)), Standardised(two)]
        blocks.append(Residual(nn.Sequential(Factor((1 + i * ALPHA**2) ** -0.5), *parts, Factor(ALPHA))))
    return nn.Sequential(Standardised(first), *blocks, activation(net), *head(net))


def _with_norms(net: Net, norm: Callable[[], nn.Module]) -> nn.Module:
    body = [part for layer in layers(net) for part in (layer, norm(), activation(net))]
    return nn.Sequential(*body, *head(net))


def batch_norm(net: Net, _: Tensor) -> nn.Module:
    """Ioffe & Szegedy 2015, algorithm 1: each unit has mean 0 and variance 1 over the batch, between layer and activation."""
    return _with_norms(net, lambda: nn.BatchNorm1d(WIDTH) if net.kind == "mlp" else nn.BatchNorm2d(CHANNELS))


def layer_norm(net: Net, _: Tensor) -> nn.Module:
    """Ba et al. 2016, eq. 3: each sample has mean 0 and variance 1 over the units, between layer and activation."""
    return _with_norms(net, lambda: nn.LayerNorm(WIDTH) if net.kind == "mlp" else nn.GroupNorm(1, CHANNELS))
