"""Nets whose gradient ends on the way: detached, rounded, taken out of the graph, or never handed to the optimizer.

What the cut leaves to learn with is too weak to learn alone: a few units behind it, or a single bias. Each twin lets
the gradient pass, or hands the right parameters to the optimizer.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case, Made
from bench.suite.sick.tasks import Data, adam, assemble, digits, images, recall, reconstruction


@cache
def haystack(features: int = 100, samples: int = 1500) -> Data:
    """Measurements of which two matter: x (samples, features) normal, y in 0..3 from the signs of the first two."""
    x = torch.randn(samples, features, generator=torch.Generator().manual_seed(17))
    return x, 2 * (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


class Probed(nn.Module):
    """The detach of a linear probe, still there when the backbone was to be trained."""

    def __init__(self, probing: bool):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 2))
        self.head = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 4))
        self.probing = probing

    def forward(self, x):
        h = self.backbone(x)
        if self.probing:
            h = h.detach()
        return self.head(h)


class FrozenReader(nn.Module):
    """An LSTM meant to be loaded with trained weights, run without gradients; nobody loaded them."""

    def __init__(self, frozen):
        super().__init__()
        self.encoder = nn.LSTM(5, 24, batch_first=True)
        self.classifier = nn.Linear(24, 4)
        self.frozen = frozen

    def encode(self, x):
        out, _ = self.encoder(x)
        return out[:, -1]

    def forward(self, x):
        with torch.set_grad_enabled(not self.frozen and torch.is_grad_enabled()):
            features = self.encode(x)
        return self.classifier(features)


class RoundedCode(nn.Module):
    """An autoencoder with an integer code; ``straight`` lets the gradient pass the rounding unchanged."""

    def __init__(self, straight):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 24), nn.Tanh(), nn.Linear(24, 8))
        self.decoder = nn.Sequential(nn.Linear(8, 48), nn.Tanh(), nn.Linear(48, 64))
        self.straight = straight

    def forward(self, x):
        z = self.encoder(x)
        code = torch.round(z)
        if self.straight:
            code = z + (code - z).detach()
        return self.decoder(code)


class HardTokens(nn.Module):
    """Measurements turned to one of eight tokens, and the token embedded; ``temperature`` picks softly instead."""

    def __init__(self, temperature=None):
        super().__init__()
        self.scores = nn.Linear(100, 8)
        self.embed = nn.Embedding(8, 32)
        self.out = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
        self.temperature = temperature

    def forward(self, x):
        if self.temperature is None:
            tokens = self.scores(x).argmax(-1)
            return self.out(self.embed(tokens))
        weights = F.softmax(self.scores(x) / self.temperature, dim=-1)
        return self.out(weights @ self.embed.weight)


class BinaryNet(nn.Module):
    """Units of value -1 and +1, as binary networks have them, with or without the tanh that trains them."""

    def __init__(self, activation):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(100, 32), nn.Linear(32, 16), nn.Linear(16, 6)])
        self.readout = nn.Linear(6, 4)
        self.activation = activation

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.readout(x)


class ThroughNumpy(nn.Module):
    """Borrows an activation from numpy, and so leaves autograd half way."""

    def __init__(self, borrow: bool):
        super().__init__()
        self.fc1 = nn.Linear(100, 48)
        self.fc2 = nn.Linear(48, 3)
        self.out = nn.Linear(3, 4)
        self.borrow = borrow

    def forward(self, x):
        hidden = self.fc2(torch.relu(self.fc1(x)))
        if self.borrow:
            angles = torch.from_numpy(np.arctan(hidden.detach().numpy()))
            return self.out(angles)
        return self.out(torch.arctan(hidden))


class OrdinalScore(nn.Module):
    """One score per sample, spread over ordered classes; the scores go through Python numbers on the way."""

    def __init__(self, as_number: bool):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(100, 48), nn.GELU())
        self.score = nn.Linear(48, 1)
        self.offsets = nn.Parameter(torch.zeros(4))
        self.as_number = as_number

    def forward(self, x):
        scores = self.score(self.trunk(x)).squeeze(-1)
        if self.as_number:
            scores = torch.tensor([score.item() for score in scores])
        return scores[:, None] * torch.arange(4.0) + self.offsets


class DataNet(nn.Module):
    """``.data``, once used to spare memory, cuts the first two layers off."""

    def __init__(self, spare):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.squeeze = nn.Linear(256, 2)
        self.fc = nn.Linear(2, 10)
        self.spare = spare

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x)).flatten(1)
        x = torch.tanh(self.squeeze(x))
        x = x.data if self.spare else x
        return self.fc(x)


class ListedLayers(nn.Module):
    """Layers in a plain list: they run, they get gradients, and parameters() does not know them."""

    def __init__(self, container=list):
        super().__init__()
        widths = [100, 64, 64, 2]
        self.layers = container([nn.Linear(a, b) for a, b in pairwise(widths)])
        self.classify = nn.Linear(2, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.classify(x)


class Truncated(nn.Module):
    """A GRU unrolled by hand whose state is detached before every step, not only between chunks."""

    def __init__(self, truncate):
        super().__init__()
        self.cell = nn.GRUCell(5, 24)
        self.fc = nn.Linear(24, 4)
        self.truncate = truncate

    def forward(self, x):
        state = x.new_zeros(len(x), 24)
        for t in range(x.shape[1]):
            if self.truncate:
                state = state.detach()
            state = self.cell(x[:, t], state)
        return self.fc(state)


class HyperNet(nn.Module):
    """One net writes the weights of another, which wraps them as parameters of its own: a new leaf of the graph."""

    def __init__(self, wrap):
        super().__init__()
        self.task = nn.Parameter(torch.randn(16))
        self.writer = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10 * 64))
        self.bias = nn.Parameter(torch.zeros(10))
        self.wrap = wrap

    def forward(self, x):
        weight = self.writer(self.task).view(10, 64)
        if self.wrap:
            weight = nn.Parameter(weight)
        return F.linear(x, weight, self.bias)


def rewrapped(scores, y):
    """A loss taken for a number on the way, and made to require a gradient again so that backward() runs."""
    loss = F.cross_entropy(scores, y)
    return torch.tensor(loss.item(), requires_grad=True)


def error_rate(scores, y):
    wrong = (scores.argmax(dim=1) != y).float().mean()
    return wrong.requires_grad_()


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))


def only_the_head(whole: bool) -> Made:
    """The optimizer built over the head, as for fine-tuning, while the backbone has never been trained."""
    model = Probed(probing=False)
    parameters = model.parameters() if whole else model.head.parameters()
    return assemble(model, haystack(), torch.optim.Adam(parameters, lr=3e-3))


def initialised_late(late: bool) -> Made:
    """Weights drawn anew by replacing the parameters; the optimizer, if built before, goes on moving the old ones."""
    model = perceptron()

    def initialise():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty_like(layer.weight)))
                layer.bias = nn.Parameter(torch.zeros_like(layer.bias))

    if not late:
        initialise()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if late:
        initialise()
    return assemble(model, digits(), optimizer)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(5, 32, batch_first=True)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        return self.out(self.encoder(x)[1][0])


def frozen_encoder(frozen: bool) -> Made:
    """Transfer learning without the transfer: the encoder is frozen as it was drawn."""
    model = Tagger()
    for parameter in model.encoder.parameters():
        parameter.requires_grad = not frozen
    return assemble(model, recall(12), adam(1e-2))


CASES: tuple[Case, ...] = (
    Case(
        "detach-left-from-probing",
        "mlp",
        lambda: assemble(Probed(True), haystack(), adam(3e-3)),
        causes=("SG107",),
        line="h.detach()",
        twin=lambda: assemble(Probed(False), haystack(), adam(3e-3)),
    ),
    Case(
        "encoder-without-grad",
        "recurrent",
        lambda: assemble(FrozenReader(True), recall(12), adam(1e-2)),
        steps=300,
        causes=("SG107",),
        line="torch.set_grad_enabled(not self.frozen and torch.is_grad_enabled())",
        twin=lambda: assemble(FrozenReader(False), recall(12), adam(1e-2)),
    ),
    Case(
        "rounded-code",
        "autoencoder",
        lambda: assemble(RoundedCode(False), reconstruction(), loss_fn=F.mse_loss),
        causes=("SG107", "SG101"),
        line="torch.round(z)",
        twin=lambda: assemble(RoundedCode(True), reconstruction(), loss_fn=F.mse_loss),
    ),
    Case(
        "argmax-tokens",
        "discrete",
        lambda: assemble(HardTokens(), haystack(), adam(3e-3)),
        causes=("SG107",),
        line="self.scores(x).argmax(-1)",
        twin=lambda: assemble(HardTokens(temperature=0.5), haystack(), adam(3e-3)),
    ),
    Case(
        "sign-without-straight-through",
        "mlp",
        lambda: assemble(BinaryNet(torch.sign), haystack(), adam(3e-3)),
        causes=("SG107", "SG101"),
        line="self.activation(layer(x))",
        twin=lambda: assemble(BinaryNet(torch.tanh), haystack(), adam(3e-3)),
    ),
    Case(
        "through-numpy",
        "mlp",
        lambda: assemble(ThroughNumpy(True), haystack(), adam(3e-3)),
        causes=("SG107",),
        line="hidden.detach()",
        twin=lambda: assemble(ThroughNumpy(False), haystack(), adam(3e-3)),
    ),
    Case(
        "scores-as-numbers",
        "mlp",
        lambda: assemble(OrdinalScore(True), haystack(), adam(3e-3)),
        causes=("SG107",),
        line="torch.tensor([score.item() for score in scores])",
        twin=lambda: assemble(OrdinalScore(False), haystack(), adam(3e-3)),
    ),
    Case(
        "data-to-spare-memory",
        "conv",
        lambda: assemble(DataNet(True), images(), adam(3e-3)),
        causes=("SG107",),
        line="x.data",
        twin=lambda: assemble(DataNet(False), images(), adam(3e-3)),
    ),
    Case(
        "layers-in-a-plain-list",
        "mlp",
        lambda: assemble(ListedLayers(), haystack(), adam(3e-3)),
        causes=("SG107",),
        line="nn.Linear(a, b)",
        twin=lambda: assemble(ListedLayers(nn.ModuleList), haystack(), adam(3e-3)),
    ),
    Case(
        "state-detached-each-step",
        "recurrent",
        lambda: assemble(Truncated(True), recall(16), adam(1e-2)),
        steps=300,
        causes=("SG107", "SG104"),
        line="state.detach()",
        twin=lambda: assemble(Truncated(False), recall(16), adam(1e-2)),
    ),
    Case(
        "hypernetwork-wrapped",
        "hypernetwork",
        lambda: assemble(HyperNet(True), digits()),
        causes=("SG107",),
        line="nn.Parameter(weight)",
        twin=lambda: assemble(HyperNet(False), digits()),
    ),
    Case(
        "loss-made-a-number",
        "mlp",
        lambda: assemble(perceptron(), digits(), loss_fn=rewrapped),
        causes=("SG107",),
        line="torch.tensor(loss.item(), requires_grad=True)",
        twin=lambda: assemble(perceptron(), digits()),
    ),
    Case(
        "error-rate-as-loss",
        "mlp",
        lambda: assemble(perceptron(), digits(), loss_fn=error_rate),
        causes=("SG107",),
        line="scores.argmax(dim=1)",
        twin=lambda: assemble(perceptron(), digits()),
    ),
    Case(
        "optimizer-over-the-head-alone",
        "mlp",
        lambda: only_the_head(whole=False),
        causes=("SG107",),
        twin=lambda: only_the_head(whole=True),
    ),
    Case(
        "parameters-replaced-after-the-optimizer",
        "mlp",
        lambda: initialised_late(True),
        causes=("SG107",),
        twin=lambda: initialised_late(False),
    ),
    Case(
        "frozen-untrained-encoder",
        "recurrent",
        lambda: frozen_encoder(True),
        steps=300,
        causes=("SG107",),
        twin=lambda: frozen_encoder(False),
    ),
)
