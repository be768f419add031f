"""Small models of every kind that the probe must follow: what they need is a batch, a loss, and nothing else."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def head(width=8):
    return nn.Linear(width, 3)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4) * 0.5)
        self.head = head()

    def forward(self, x):
        return self.head(F.linear(x, self.weight).relu())


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 8), head()

    def forward(self, x):
        x = self.stem(x)
        for _ in range(5):
            x = torch.tanh(self.body(x))
        return self.head(x)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 8), nn.Linear(6, 8), head()

    def forward(self, x, z, *, scale=1.0):
        return self.head(torch.tanh(self.left(x)) * scale + self.right(z))


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.scores, self.value = nn.Linear(4, 8), head(), nn.Linear(8, 1)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.scores(x), self.value(x)


class Dictionaries(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), head()

    def forward(self, inputs):
        return {"scores": self.head(torch.relu(self.stem(inputs["x"]))), "note": "text"}


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 8), nn.Linear(8, 8), head()

    def forward(self, x):
        x = F.relu_(self.a(x))
        x = self.b(x)
        x += 1
        x[:, 0] = 0
        return self.head(x.mul_(0.5).clamp_(-3, 3))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.head = getattr(nn, kind)(4, 8, batch_first=True), head()

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 8, batch_first=True), head()

    def forward(self, x):
        lengths = torch.arange(len(x)) % x.shape[1] + 1
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][0])


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(4, 8), head()

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(4, 24), head()

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.head(F.scaled_dot_product_attention(q, k, v, is_causal=True).mean(1))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.stem, self.body, self.head = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh()), head()
        self.reentrant = reentrant

    def forward(self, x):
        return self.head(checkpoint(self.body, self.stem(x), use_reentrant=self.reentrant))


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), head()

    def forward(self, x):
        return self.head(Cube.apply(self.stem(x)))


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), head()

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.head(torch.relu(self.stem(x))).float()


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(4, 8, dtype=torch.complex64) * 0.5)
        self.head = head()

    def forward(self, x):
        return self.head((torch.fft.fft(x) @ self.filter).abs())


class Words(nn.Module):
    def __init__(self, *, sparse=False, tied=False):
        super().__init__()
        self.words, self.out = nn.Embedding(20, 8, sparse=sparse), nn.Linear(8, 20, bias=False)
        if tied:
            self.out.weight = self.words.weight

    def forward(self, ids):
        return self.out(torch.tanh(self.words(ids)))


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8).requires_grad_(False), head()

    def forward(self, x):
        return self.head(torch.relu(self.stem(x)))


class OwnLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), head()

    def forward(self, x, labels):
        scores = self.head(torch.relu(self.stem(x)))
        return {"loss": F.cross_entropy(scores, labels), "scores": scores}


class FunctionalCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.scale = nn.Linear(4, 3), nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        weights = {name: value * self.scale for name, value in self.inner.named_parameters()}
        return torch.func.functional_call(self.inner, weights, (x,))


class Mapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3) * 0.5)

    def forward(self, x):
        return torch.vmap(lambda row: torch.tanh(row @ self.weight))(x)


class Branching(nn.Module):
    """Takes another way for each batch."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.a(x) if x.mean() > 0 else self.b(x)


def normed():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 8))
    return nn.Sequential(layer, nn.Tanh(), nn.utils.parametrizations.spectral_norm(head()))


def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), head())


def labels(n=16):
    return torch.arange(n) % 3


def pair(*shape):
    return lambda: (torch.randn(*shape), labels(shape[0]))


def of_words():
    ids = torch.randint(0, 20, (8, 6))
    return ids, ids


def next_word(scores, ids):
    return F.cross_entropy(scores.flatten(0, 1), ids.flatten())


FLAT, SEQUENCE = pair(16, 4), pair(16, 12, 4)
CROSS = F.cross_entropy

# name: (model, batch, loss, where the trunk must end)
KINDS = {
    "functional calls": (Functional, FLAT, CROSS, "input 0"),
    "a shared module": (Shared, FLAT, CROSS, "input 0"),
    "two inputs": (TwoInputs, lambda: ((torch.randn(16, 4), torch.randn(16, 6)), labels()), CROSS, "input 0"),
    "keywords": (
        TwoInputs,
        lambda: ({"x": torch.randn(16, 4), "z": torch.randn(16, 6), "scale": 2.0}, labels()),
        CROSS,
        "x",
    ),
    "two outputs": (TwoOutputs, FLAT, lambda out, y: CROSS(out[0], y) + out[1].square().mean(), "input 0"),
    "dictionaries": (
        Dictionaries,
        lambda: (({"x": torch.randn(16, 4)},), labels()),
        lambda out, y: CROSS(out["scores"], y),
        "input 0.x",
    ),
    "in-place operations": (InPlace, FLAT, CROSS, "input 0"),
    "a sequential": (plain, FLAT, CROSS, "input 0"),
    "an RNN": (lambda: Recurrent("RNN"), SEQUENCE, CROSS, "input 0"),
    "an LSTM": (lambda: Recurrent("LSTM"), SEQUENCE, CROSS, "input 0"),
    "a GRU": (lambda: Recurrent("GRU"), SEQUENCE, CROSS, "input 0"),
    "a packed sequence": (Packed, SEQUENCE, CROSS, "input 0"),
    "cells in a loop": (Cells, SEQUENCE, CROSS, "input 0"),
    "fused attention": (Attention, SEQUENCE, CROSS, "input 0"),
    "a checkpoint": (lambda: Checkpointed(False), FLAT, CROSS, "input 0"),
    "a reentrant checkpoint": (lambda: Checkpointed(True), FLAT, CROSS, "input 0"),
    "a custom function": (Custom, FLAT, CROSS, "input 0"),
    "autocast": (Autocast, FLAT, CROSS, "input 0"),
    "float64": (lambda: plain().double(), lambda: (torch.randn(16, 4).double(), labels()), CROSS, "input 0"),
    "bfloat16": (lambda: plain().bfloat16(), lambda: (torch.randn(16, 4).bfloat16(), labels()), CROSS, "input 0"),
    "complex numbers": (Complex, FLAT, CROSS, "input 0"),
    "an embedding": (Words, of_words, next_word, "output of words"),
    "a sparse embedding": (lambda: Words(sparse=True), of_words, next_word, "output of words"),
    "tied weights": (lambda: Words(tied=True), of_words, next_word, "output of words"),
    "a frozen part": (Frozen, FLAT, CROSS, "input 0"),
    "lazy modules": (
        lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3)),
        FLAT,
        CROSS,
        "input 0",
    ),
    "its own loss": (OwnLoss, lambda: {"x": torch.randn(16, 4), "labels": labels()}, None, "x"),
    "a functional call": (FunctionalCall, FLAT, CROSS, "input 0"),
    "vmap": (Mapped, FLAT, CROSS, "input 0"),
    "branches": (Branching, FLAT, CROSS, "input 0"),
    "parametrisations": (normed, FLAT, CROSS, "input 0"),
    "torch.compile": (lambda: torch.compile(plain(), backend="eager"), FLAT, CROSS, "input 0"),
    "a scripted module": (
        lambda: torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), head())),
        FLAT,
        CROSS,
        "input 0",
    ),
    "a traced module": (
        lambda: torch.jit.trace(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), head()), torch.randn(2, 4)),
        FLAT,
        CROSS,
        "input 0",
    ),
    "an exported module": (
        lambda: torch.export.export(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), head()), (torch.randn(16, 4),)).module(),
        FLAT,
        CROSS,
        "input 0",
    ),
    "data parallel": (lambda: nn.DataParallel(plain()), FLAT, CROSS, "input 0"),
    "a batch of one": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), head()), pair(1, 4), CROSS, "input 0"),
    "eval mode": (lambda: plain().eval(), FLAT, CROSS, "input 0"),
}
