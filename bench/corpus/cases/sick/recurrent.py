"""Recurrences whose gradient shrinks or grows at every step back in time, built-in ones and loops written by hand.

The first step of a sequence shows a class that the answer at the end must name; each twin changes the recurrence alone.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from bench.corpus.case import Made, sick_case
from bench.corpus.cases.nets import Built
from bench.corpus.cases.parts import assemble, recall


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


def built(cell, length, change=None, **options) -> Made:
    """A recurrence of ``torch.nn`` on sequences of ``length``; ``change`` alters its weights."""
    rnn = cell(5, 32, batch_first=True, **options)
    if change is not None:
        change(rnn)
    return assemble(Built(rnn), recall(length))


def forgetful(rnn: nn.LSTM) -> None:
    with torch.no_grad():
        rnn.bias_ih_l0[32:64] = -2.0


def identity(rnn: nn.RNN) -> None:
    """Le, Jaitly & Hinton 2015."""
    nn.init.eye_(rnn.weight_hh_l0)
    nn.init.zeros_(rnn.bias_hh_l0)
    nn.init.zeros_(rnn.bias_ih_l0)


FUSED = "self.rnn(x)"
LOOP = "self.cell(x[:, t], hidden)"

CASES = (
    sick_case("rnn-150-steps", "recurrent", 0.9775, "SG104", steps=400, line=FUSED)(
        lambda sick: built(nn.RNN, 150, None if sick else partial(orthogonal, gain=1.0))
    ),
    sick_case("lstm-100-steps", "recurrent", 0.9684, "SG104", steps=400, line=FUSED)(
        lambda sick: built(nn.LSTM, 100, None if sick else partial(remember, length=100))
    ),
    sick_case("gru-100-steps", "recurrent", 0.9832, "SG104", steps=400, line=FUSED)(
        lambda sick: built(nn.GRU, 100, None if sick else partial(remember, length=100))
    ),
    sick_case("two-lstms-80-steps", "recurrent", 0.9923, "SG104", steps=400, line=FUSED)(
        lambda sick: built(nn.LSTM, 80, None if sick else partial(remember, length=80), num_layers=2)
    ),
    sick_case("relu-rnn-60-steps", "recurrent", 1.0, "SG104", steps=400, line=FUSED)(
        lambda sick: built(nn.RNN, 60, None if sick else identity, nonlinearity="relu")
    ),
    sick_case("forget-gate-shut", "recurrent", 0.9878, "SG104", steps=400, line=FUSED)(
        lambda sick: built(nn.LSTM, 40, forgetful if sick else partial(remember, length=40))
    ),
    sick_case("cell-loop-80-steps", "recurrent", 0.9858, "SG104", steps=400, line=LOOP)(
        lambda sick: assemble(Elman(None if sick else 1.0), recall(80))
    ),
    sick_case("recurrence-of-a-fifth-the-norm", "recurrent", 0.9836, "SG104", steps=400, line=LOOP)(
        lambda sick: assemble(Elman(0.2 if sick else 1.0), recall(90))
    ),
    sick_case("sigmoid-recurrence", "recurrent", 0.989, "SG104", "SG102", steps=400)(
        lambda sick: assemble(Logistic(torch.sigmoid if sick else torch.tanh), recall(40))
    ),
    sick_case("leak-too-quick", "recurrent", 0.3113, "SG104", steps=600)(
        lambda sick: assemble(Leaky(0.6 if sick else 0.98), recall(50))
    ),
    sick_case("poles-too-small", "recurrent", 0.9997, "SG104", steps=300)(
        lambda sick: assemble(LinearState(0.6 if sick else 0.99), recall(60))
    ),
    sick_case("rnn-grows", "recurrent", 0.9749, "SG202", steps=400, line=FUSED)(
        lambda sick: built(nn.RNN, 60, partial(orthogonal, gain=3.0 if sick else 1.0), nonlinearity="relu")
    ),
    sick_case("cell-loop-grows", "recurrent", 0.9647, "SG202", steps=400, line=LOOP)(
        lambda sick: assemble(Elman(2.5 if sick else 1.0, "relu"), recall(60))
    ),
)
