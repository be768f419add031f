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

from bench.corpus.case import Made, sick_case
from bench.corpus.cases.nets import plain
from bench.corpus.cases.parts import Data, adam, assemble, digits, images, recall, reconstruction


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


def only_the_head(whole: bool) -> Made:
    """The optimizer built over the head, as for fine-tuning, while the backbone has never been trained."""
    model = Probed(probing=False)
    parameters = model.parameters() if whole else model.head.parameters()
    return assemble(model, haystack(), torch.optim.Adam(parameters, lr=3e-3))


def initialised_late(late: bool) -> Made:
    """Weights drawn anew by replacing the parameters; the optimizer, if built before, goes on moving the old ones."""
    model = plain(1, nn.ReLU, 48)

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


CASES = (
    sick_case("detach-left-from-probing", "mlp", 0.6738, "SG107", line="h.detach()")(
        lambda sick: assemble(Probed(sick), haystack(), adam(3e-3))
    ),
    sick_case(
        "encoder-without-grad",
        "recurrent",
        0.6067,
        "SG107",
        steps=300,
        line="torch.set_grad_enabled(not self.frozen and torch.is_grad_enabled())",
    )(lambda sick: assemble(FrozenReader(sick), recall(12), adam(1e-2))),
    sick_case("rounded-code", "autoencoder", 0.4146, "SG107", "SG101", line="torch.round(z)")(
        lambda sick: assemble(RoundedCode(not sick), reconstruction(), loss_fn=F.mse_loss)
    ),
    sick_case("argmax-tokens", "discrete", 0.5009, "SG107", line="self.scores(x).argmax(-1)")(
        lambda sick: assemble(HardTokens(temperature=None if sick else 0.5), haystack(), adam(3e-3))
    ),
    sick_case("sign-without-straight-through", "mlp", 0.7088, "SG107", "SG101", line="self.activation(layer(x))")(
        lambda sick: assemble(BinaryNet(torch.sign if sick else torch.tanh), haystack(), adam(3e-3))
    ),
    sick_case("through-numpy", "mlp", 0.61, "SG107", line="hidden.detach()")(
        lambda sick: assemble(ThroughNumpy(sick), haystack(), adam(3e-3))
    ),
    sick_case("scores-as-numbers", "mlp", 0.2296, "SG107", line="torch.tensor([score.item() for score in scores])")(
        lambda sick: assemble(OrdinalScore(sick), haystack(), adam(3e-3))
    ),
    sick_case("data-to-spare-memory", "conv", 0.3902, "SG107", line="x.data")(
        lambda sick: assemble(DataNet(sick), images(), adam(3e-3))
    ),
    sick_case("layers-in-a-plain-list", "mlp", 0.5804, "SG107", line="nn.Linear(a, b)")(
        lambda sick: assemble(ListedLayers(list if sick else nn.ModuleList), haystack(), adam(3e-3))
    ),
    sick_case("state-detached-each-step", "recurrent", 0.9995, "SG107", "SG104", steps=300, line="state.detach()")(
        lambda sick: assemble(Truncated(sick), recall(16), adam(1e-2))
    ),
    sick_case("hypernetwork-wrapped", "hypernetwork", 0.9624, "SG107", line="nn.Parameter(weight)")(
        lambda sick: assemble(HyperNet(sick), digits())
    ),
    sick_case("loss-made-a-number", "mlp", 0.8816, "SG107", line="torch.tensor(loss.item(), requires_grad=True)")(
        lambda sick: assemble(plain(1, nn.ReLU, 48), digits(), loss_fn=rewrapped if sick else F.cross_entropy)
    ),
    sick_case("error-rate-as-loss", "mlp", 0.8816, "SG107", line="scores.argmax(dim=1)")(
        lambda sick: assemble(plain(1, nn.ReLU, 48), digits(), loss_fn=error_rate if sick else F.cross_entropy)
    ),
    sick_case("optimizer-over-the-head-alone", "mlp", 0.6738, "SG107")(lambda sick: only_the_head(whole=not sick)),
    sick_case("parameters-replaced-after-the-optimizer", "mlp", 0.8822, "SG107")(lambda sick: initialised_late(sick)),
    sick_case("frozen-untrained-encoder", "recurrent", 0.9997, "SG107", steps=300)(lambda sick: frozen_encoder(sick)),
)
