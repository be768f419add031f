"""Nets that cases of several files are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


def he(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=gain / inputs**0.5)
    nn.init.zeros_(layer.bias)
    return layer


def plain(depth: int, act: Callable[[], nn.Module], width: int = 64) -> nn.Sequential:
    """``depth`` hidden layers on the digits."""
    layers = [m for i in range(depth) for m in (nn.Linear(width if i else 64, width), act())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class TanhNet(nn.Module):
    def __init__(self, inputs: int, outputs: int, act=torch.tanh, width: int = 32):
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.last = nn.Linear(width, outputs)
        self.act = act

    def forward(self, x):
        x = self.act(self.first(x))
        x = self.act(self.second(x))
        return self.last(x)


class ConvNet(nn.Module):
    def __init__(self, channels: int = 16):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, channels, 3, padding=1)
        self.fc = nn.Linear(16 * channels, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc(F.relu(self.conv2(x)).flatten(1))


class Built(nn.Module):
    """A recurrence of ``torch.nn``, read at its last step."""

    def __init__(self, rnn: nn.RNNBase):
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.hidden_size, 4)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.head(states[:, -1])


class Factored(nn.Module):
    """A factor on what each layer gives; above 1 it makes it grow."""

    def __init__(self, factor, depth=12):
        super().__init__()
        self.fcs = nn.ModuleList(he(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)
        self.factor = factor

    def forward(self, x):
        for fc in self.fcs:
            x = torch.relu(fc(x))
            x = x * self.factor
        return self.head(x)
