"""Nets of a place or a time: physics-informed ones, whose loss is an equation, and ones made of sines.

A physics-informed net returns its loss while it trains and its answer in evaluation, as torchvision's detectors do.
"""

from __future__ import annotations

import torch
from torch import nn

from bench.corpus.data import DIFFUSION, OMEGA
from bench.corpus.models.generators import Stack
from bench.corpus.models.parts import flaw_of, initialise_


def derivative(u, x):
    """Of each sample's answer by its own inputs: the shape of ``x``."""
    return torch.autograd.grad(u.sum(), x, create_graph=True)[0]


class PINN(nn.Module):
    """Physics-informed (Raissi et al. 2019): an oscillator's equation for one input, the heat equation for two.

    ``equation`` weighs the residual against what holds at the edge.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 16,
        activation: str = "tanh",
        equation: float = 1.0,
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.net = Stack([inputs, *[width] * depth, outputs], activation, "none", flaw, amount)
        self.residual = self.oscillates if inputs == 1 else self.diffuses
        self.equation = equation
        initialise_(self, init, gain)

    def oscillates(self, x):
        u = self.net(x)
        bent = derivative(derivative(u, x), x) / OMEGA**2 + u
        start = x.new_zeros(1, 1).requires_grad_()
        begun = self.net(start)
        return (bent**2).mean(), (begun - 1) ** 2 + (derivative(begun, start) / OMEGA) ** 2

    def diffuses(self, x):
        u = self.net(x)
        first = derivative(u, x)
        second = derivative(first[:, 0], x)[:, :1]
        place, time = x.detach().split(1, 1)
        zero = torch.zeros_like(place)
        begun = self.net(torch.cat([place, zero], 1)) - torch.sin(torch.pi * place)
        ends = self.net(torch.cat([zero, time], 1)) ** 2 + self.net(torch.cat([zero + 1, time], 1)) ** 2
        return ((first[:, 1:] - DIFFUSION * second) ** 2).mean(), begun**2 + ends

    def forward(self, x):
        if not self.training:
            return self.net(x)
        inside, edge = self.residual(x.detach().requires_grad_())
        return {"loss": self.equation * inside + edge.mean()}


class Siren(nn.Module):
    """Sines of ``frequency`` times the pre-activation, with the weights that suit it (Sitzmann et al. 2020).

    ``init`` other than "siren" leaves or draws the weights as for any other net.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 32,
        frequency: float = 30.0,
        init: str = "siren",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth + 1))
        self.head = nn.Linear(width, outputs)
        self.frequency = frequency
        self.flaw = flaw_of(flaw, amount)
        if init == "siren":
            for number, layer in enumerate([*self.layers, self.head]):
                bound = (6 / layer.in_features) ** 0.5 / frequency if number else 1 / layer.in_features
                nn.init.uniform_(layer.weight, -gain * bound, gain * bound)
        else:
            initialise_(self, init, gain)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sin(self.frequency * layer(x))
            x = self.flaw(x)
        return self.head(x)
