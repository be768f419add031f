"""Recurrences whose gradient shrinks or grows at every step back in time, built-in ones and loops written by hand.

The first step of a sequence shows a class that the answer at the end must name; each twin changes the recurrence alone.
"""

from __future__ import annotations

import torch
from torch import nn

from bench.suite.case import Case
from bench.suite.sick.tasks import MakeOptimizer, assemble, recall


def orthogonal(cell: nn.RNNBase | nn.RNNCellBase, gain: float) -> None:
    for name, weight in cell.named_parameters():
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(weight, gain)


def remember(cell: nn.RNNBase, length: int) -> None:
    """Chrono initialisation (Tallec & Ollivier 2018): forget-gate biases for memories up to the sequence's length."""
    for name, bias in cell.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.zeros_(bias)
        if name.startswith("bias_ih"):
            size = cell.hidden_size
            with torch.no_grad():
                bias.zero_()
                bias[size : 2 * size] = torch.empty(size).uniform_(1, length - 1).log()
                if len(bias) == 4 * size:
                    bias[:size] = -bias[size : 2 * size]


class Built(nn.Module):
    """A recurrence of ``torch.nn``, read at its last step."""

    def __init__(self, rnn: nn.RNNBase):
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.hidden_size, 4)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.head(states[:, -1])


class Elman(nn.Module):
    """A plain cell called step by step."""

    def __init__(self, gain, nonlinearity="tanh"):
        super().__init__()
        self.cell = nn.RNNCell(5, 32, nonlinearity=nonlinearity)
        if gain:
            orthogonal(self.cell, gain)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        hidden = x.new_zeros(len(x), 32)
        for t in range(x.shape[1]):
            hidden = self.cell(x[:, t], hidden)
        return self.head(hidden)


class Logistic(nn.Module):
    """The recurrence of the first connectionist papers, a sigmoid of a sum."""

    def __init__(self, squash):
        super().__init__()
        self.into, self.back, self.head = nn.Linear(5, 32), nn.Linear(32, 32), nn.Linear(32, 4)
        nn.init.orthogonal_(self.back.weight)
        self.squash = squash

    def forward(self, x):
        hidden = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            hidden = self.squash(self.into(step) + self.back(hidden))
        return self.head(hidden)


class Leaky(nn.Module):
    """A state that leaks: what is kept of it at each step decides how far it remembers."""

    def __init__(self, kept):
        super().__init__()
        self.into, self.head = nn.Linear(5, 32), nn.Linear(32, 4)
        self.kept = kept

    def forward(self, x):
        state = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            state = self.kept * state + torch.tanh(self.into(step))
        return self.head(state)


class LinearState(nn.Module):
    """A diagonal linear state-space layer; its poles lie at ``pole``."""

    def __init__(self, pole):
        super().__init__()
        self.into, self.head = nn.Linear(5, 32), nn.Linear(32, 4)
        self.pole = nn.Parameter(torch.full((32,), pole))

    def forward(self, x):
        state = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            state = self.pole * state + self.into(step)
        return self.head(state)


def built(cell, length, change, optimizer: MakeOptimizer | None = None, **options):
    def make():
        rnn = cell(5, 32, batch_first=True, **options)
        if change is not None:
            change(rnn)
        return assemble(Built(rnn), recall(length), optimizer)

    return make


def net(model, length, *arguments, optimizer: MakeOptimizer | None = None):
    return lambda: assemble(model(*arguments), recall(length), optimizer)


def forgetful(rnn: nn.LSTM) -> None:
    with torch.no_grad():
        rnn.bias_ih_l0[32:64] = -2.0


def identity(rnn: nn.RNN) -> None:
    """Le, Jaitly & Hinton 2015."""
    nn.init.eye_(rnn.weight_hh_l0)
    nn.init.zeros_(rnn.bias_hh_l0)
    nn.init.zeros_(rnn.bias_ih_l0)


LOST = ("SG104",)
GROWN = ("SG202",)
FUSED = "self.rnn(x)"

LOOP = "self.cell(x[:, t], hidden)"

TABLE = (
    ("rnn-150-steps", LOST, FUSED, built(nn.RNN, 150, None), built(nn.RNN, 150, lambda r: orthogonal(r, 1.0)), 400),
    ("lstm-100-steps", LOST, FUSED, built(nn.LSTM, 100, None), built(nn.LSTM, 100, lambda r: remember(r, 100)), 400),
    ("gru-100-steps", LOST, FUSED, built(nn.GRU, 100, None), built(nn.GRU, 100, lambda r: remember(r, 100)), 400),
    (
        "two-lstms-80-steps",
        LOST,
        FUSED,
        built(nn.LSTM, 80, None, num_layers=2),
        built(nn.LSTM, 80, lambda r: remember(r, 80), num_layers=2),
        400,
    ),
    (
        "relu-rnn-60-steps",
        LOST,
        FUSED,
        built(nn.RNN, 60, None, nonlinearity="relu"),
        built(nn.RNN, 60, identity, nonlinearity="relu"),
        400,
    ),
    (
        "forget-gate-shut",
        LOST,
        FUSED,
        built(nn.LSTM, 40, forgetful),
        built(nn.LSTM, 40, lambda r: remember(r, 40)),
        400,
    ),
    ("cell-loop-80-steps", LOST, LOOP, net(Elman, 80, None), net(Elman, 80, 1.0), 400),
    ("recurrence-of-a-fifth-the-norm", LOST, LOOP, net(Elman, 90, 0.2), net(Elman, 90, 1.0), 400),
    (
        "sigmoid-recurrence",
        ("SG104", "SG102"),
        None,
        net(Logistic, 40, torch.sigmoid),
        net(Logistic, 40, torch.tanh),
        400,
    ),
    ("leak-too-quick", LOST, None, net(Leaky, 50, 0.6), net(Leaky, 50, 0.98), 600),
    ("poles-too-small", LOST, None, net(LinearState, 60, 0.6), net(LinearState, 60, 0.99), 300),
    (
        "rnn-grows",
        GROWN,
        FUSED,
        built(nn.RNN, 60, lambda r: orthogonal(r, 3.0), nonlinearity="relu"),
        built(nn.RNN, 60, lambda r: orthogonal(r, 1.0), nonlinearity="relu"),
        400,
    ),
    ("cell-loop-grows", GROWN, LOOP, net(Elman, 60, 2.5, "relu"), net(Elman, 60, 1.0, "relu"), 400),
)

CASES = tuple(
    Case(name, "recurrent", make, steps=steps, causes=causes, line=line, twin=twin)
    for name, causes, line, make, twin, steps in TABLE
)
