"""Kinds of model that every cure must leave whole: each builds a model that runs on (x, y), and fails where that is easy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Kind:
    name: str
    make: Callable[[], nn.Module]
    x: tuple[int, ...] = (24, 16)
    classes: int = 4

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.x, generator=generator), torch.randint(0, self.classes, self.x[:1], generator=generator)


class Functional(nn.Module):
    def __init__(self, depth: int = 8):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.sigmoid(fc(x))
        return self.head(x)


class Branching(Functional):
    """Control flow that looks at numbers: no graph can be traced."""

    def forward(self, x):
        if x.sum() > 1e9:
            return self.head(x)
        return super().forward(x)


class InPlace(Functional):
    def forward(self, x):
        for fc in self.fcs:
            x = fc(x)
            x.sigmoid_()
        return self.head(x)


class WithMethods(Functional):
    def predict(self, x):
        return self(x).argmax(1)


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.act = nn.Sigmoid()

    def forward(self, x):
        return self.act(self.fc(x))


class SharedActivation(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.Tanh()
        self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(6))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = self.act(fc(x))
        return self.head(x)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.head(torch.sigmoid(self.two(torch.sigmoid(self.one(x)))))


class Bare(nn.Module):
    """Weights that no layer holds."""

    def __init__(self):
        super().__init__()
        self.w = nn.ParameterList(nn.Parameter(0.05 * torch.randn(16, 16)) for _ in range(6))
        self.b = nn.ParameterList(nn.Parameter(torch.zeros(16)) for _ in range(6))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for w, b in zip(self.w, self.b, strict=True):
            x = torch.tanh(x @ w + b)
        return self.head(x)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]):
        super().__init__()
        self.rnn = kind(3, 12, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.encoder(x).mean(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(6))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = x + F.relu(fc(x))
        return self.head(x)


def sequential(*middle: Any, width: int = 16) -> nn.Sequential:
    return nn.Sequential(*middle, nn.Linear(width, 4))


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Sigmoid(),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Sigmoid(),
        nn.Conv2d(8, 12, 3, stride=2, padding=1),
        nn.Sigmoid(),
        nn.ConvTranspose2d(12, 8, 2, stride=2),
        nn.Sigmoid(),
        nn.Flatten(),
        nn.Linear(8 * 64, 4),
    )


def weight_norm() -> nn.Module:
    norm = nn.utils.parametrizations.weight_norm
    return sequential(*[m for _ in range(4) for m in (norm(nn.Linear(16, 16)), nn.Sigmoid())])


def frozen() -> nn.Module:
    model = Functional()
    for parameter in model.fcs[0].parameters():
        parameter.requires_grad_(False)
    return model


class Loop(nn.Module):
    """A recurrence written by hand, that leaks."""

    def __init__(self):
        super().__init__()
        self.into, self.head = nn.Linear(3, 12), nn.Linear(12, 4)

    def forward(self, x):
        state = x.new_zeros(len(x), 12)
        for step in x.unbind(1):
            state = 0.6 * state + torch.tanh(self.into(step))
        return self.head(state)


class Gated(nn.Module):
    """Gates that are shut: by a number in the code, and by a bias of their own."""

    def __init__(self):
        super().__init__()
        self.values = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.gates = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        nn.init.constant_(self.gates[-1].bias, -4.0)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for value, gate in zip(self.values, self.gates, strict=True):
            x = value(x) * torch.sigmoid(gate(x) - 12.0)
        return self.head(x)


KINDS = (
    Kind("functional", Functional),
    Kind("Sequential", lambda: sequential(*[m for _ in range(6) for m in (nn.Linear(16, 16), nn.Sigmoid())])),
    Kind("blocks", lambda: sequential(*[Block(16) for _ in range(6)])),
    Kind("data-dependent branch", Branching),
    Kind("in place", InPlace),
    Kind("methods beside forward", WithMethods),
    Kind("one activation object", SharedActivation),
    Kind("tied weights", Tied),
    Kind("bare parameters", Bare),
    Kind("convolutions, grouped, strided, transposed", convolutions, (24, 1, 8, 8)),
    Kind("weight norm", weight_norm),
    Kind("frozen layer", frozen),
    Kind("float64", lambda: Functional().double()),
    Kind(
        "widths that change",
        lambda: sequential(
            nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), width=12
        ),
    ),
    Kind("RNN", lambda: Recurrent(nn.RNN), (24, 20, 3)),
    Kind("LSTM", lambda: Recurrent(nn.LSTM), (24, 20, 3)),
    Kind("GRU", lambda: Recurrent(nn.GRU), (24, 20, 3)),
    Kind("loop by hand", Loop, (24, 20, 3)),
    Kind("gates", Gated),
    Kind("transformer", Transformer, (24, 5, 16)),
    Kind("residual", Residual),
    Kind(
        "batch norm and dropout",
        lambda: sequential(
            *[m for _ in range(4) for m in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Sigmoid(), nn.Dropout(0.1))]
        ),
    ),
)
