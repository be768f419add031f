"""Recurrent nets, of torch.nn and written as a loop; nets on embedded words."""

from __future__ import annotations

import torch
from torch import nn

from bench.corpus.models.parts import ACTIVATIONS, Net, flaw_of, initialise_

CELLS = {"rnn": nn.RNN, "rnn-relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def recur_(rnn: nn.RNNBase, init: str, gain: float, remember: float) -> None:
    """Draw the recurrent weights anew; ``remember`` steps sets the forget gates (Tallec & Ollivier 2018)."""
    for name, weight in rnn.named_parameters():
        if init != "default" and name.startswith("weight_hh"):
            getattr(nn.init, init)(weight)
            with torch.no_grad():
                weight.mul_(gain)
        if remember and name.startswith("bias"):
            size = rnn.hidden_size
            with torch.no_grad():
                weight.zero_()
                if name.startswith("bias_ih"):
                    weight[size : 2 * size] = torch.empty(size).uniform_(1, remember).log()
                    if len(weight) == 4 * size:
                        weight[:size] = -weight[size : 2 * size]


class Recurrent(nn.Module):
    """A recurrence of ``torch.nn``; ``each``: an answer at every step, else at the last. ``words``: input is tokens."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        cell: str = "lstm",
        hidden: int = 24,
        layers: int = 1,
        init: str = "default",
        gain: float = 1.0,
        remember: float = 0.0,
        words: bool = False,
        each: bool = False,
        flaw: str = "",
        amount: float = 0.0,
        last: str = "",
    ):
        super().__init__()
        self.embed = nn.Embedding(inputs, hidden) if words else nn.Identity()
        more = {"nonlinearity": "relu"} if cell == "rnn-relu" else {}
        self.rnn = CELLS[cell](hidden if words else inputs, hidden, layers, batch_first=True, **more)
        self.head = nn.Linear(hidden, outputs)
        self.each = each
        self.flaw = flaw_of(flaw, amount)
        self.last = flaw_of(last, amount)
        recur_(self.rnn, init, gain, remember)

    def forward(self, x):
        states, _ = self.rnn(self.embed(x))
        states = self.flaw(states)
        return self.head(states).mT if self.each else self.last(self.head(states[:, -1]))


class Loop(nn.Module):
    """The plain recurrence, step by step; ``kept`` of the state leaks through unsquashed."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        hidden: int = 24,
        activation: str = "tanh",
        init: str = "orthogonal_",
        gain: float = 1.0,
        kept: float = 0.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.into, self.back = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, outputs)
        self.act = ACTIVATIONS[activation]
        self.kept = kept
        initialise_(self.back, init, gain)
        self.flaw = flaw_of(flaw, amount)

    def forward(self, x):
        state = x.new_zeros(len(x), self.back.out_features)
        for step in x.unbind(1):
            state = self.kept * state + self.act(self.into(step) + self.back(state))
            state = self.flaw(state)
        return self.head(state)


class Bag(Net):
    """Words to vectors with sparse or dense gradients, their mean, a net."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        sparse: bool = True,
        depth: int = 1,
        width: int = 24,
        std: float = 1.0,
        **shared,
    ):
        super().__init__()
        self.words = nn.EmbeddingBag(inputs, width, mode="mean", sparse=sparse)
        nn.init.normal_(self.words.weight, std=std)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.end_(**shared)

    def forward(self, x):
        x = self.words(x)
        for layer in self.layers:
            x = self.act(layer(x))
            x = self.flaw(x)
        return self.last(self.head(x))
