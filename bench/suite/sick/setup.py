"""Nets that are sound in themselves, put to work wrongly: squashed twice before the loss, or fed numbers as measured.

Each twin hands the loss what it expects, or standardises the numbers.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case
from bench.suite.sick.tasks import Data, adam, assemble, cancer, curve, digits, images, raw_digits, recall, sgd, wine


class SoftmaxOut(nn.Module):
    """Probabilities out of the model, as a tutorial's last line has it, for a loss that wants scores."""

    def __init__(self, probabilities: bool):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.probabilities = probabilities

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return F.softmax(x, dim=1) if self.probabilities else x


def conv_classifier(*last: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
        *last,
    )


class Detector(nn.Module):
    def __init__(self, squash):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(30, 32), nn.Tanh(), nn.Linear(32, 1))
        self.squash = squash

    def forward(self, x):
        out = self.net(x).squeeze(-1)
        if self.squash:
            out = torch.sigmoid(out)
        return out


def tumours() -> Data:
    x, y = cancer()
    return x, y.float()


@cache
def text(kinds: int = 40, length: int = 16) -> Data:
    """A Markov chain over ``kinds`` tokens, each followed by one of two: x, y (1000, length), y one step ahead."""
    noise = torch.Generator().manual_seed(31)
    follows = torch.randint(kinds, (kinds, 2), generator=noise)
    tokens = torch.randint(kinds, (1000, 1), generator=noise)
    for _ in range(length):
        pick = torch.randint(2, (1000,), generator=noise)
        tokens = torch.cat([tokens, follows[tokens[:, -1], pick][:, None]], dim=1)
    return tokens[:, :-1], tokens[:, 1:]


class LanguageModel(nn.Module):
    def __init__(self, normalise):
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.rnn = nn.GRU(32, 48, batch_first=True)
        self.vocab = nn.Linear(48, 40)
        self.normalise = normalise

    def forward(self, tokens):
        h, _ = self.rnn(self.embed(tokens))
        logits = self.vocab(h)
        return torch.softmax(logits, dim=-1) if self.normalise else logits


def next_token(scores, y):
    return F.nll_loss(F.log_softmax(scores, dim=-1).flatten(0, 1), y.flatten())


class OneHotUnits(nn.Module):
    """Sigmoid units for one-hot targets, behind weights that begin at N(0, 1)."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(64, 64), nn.Linear(64, 10)
        nn.init.normal_(self.hidden.weight)
        nn.init.normal_(self.out.weight)

    def forward(self, x):
        scores = self.out(torch.tanh(self.hidden(x)))
        return scores.sigmoid()


@cache
def one_hot() -> Data:
    x, y = digits()
    return x, F.one_hot(y, 10).float()


class TanhNet(nn.Module):
    def __init__(self, inputs: int, outputs: int, act=torch.tanh):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(inputs, 32), nn.Linear(32, 32), nn.Linear(32, outputs)
        self.act = act

    def forward(self, x):
        x = self.act(self.first(x))
        x = self.act(self.second(x))
        return self.last(x)


@cache
def grey_images(*, scaled: bool) -> Data:
    """Digits as images in grey levels 0..255, or those divided by 255 and centred."""
    x, y = raw_digits()
    x = (x / 16 * 255).view(-1, 1, 8, 8)
    return (x / 255 - 0.3 if scaled else x), y


@cache
def logged(*, scaled: bool) -> Data:
    """The curve's four variables and the Unix time at which they were logged, over one month."""
    x, y = curve()
    month = torch.rand(len(x), 1, generator=torch.Generator().manual_seed(37))
    return torch.cat([x, month - 0.5 if scaled else 1.7e9 + 2.6e6 * month], dim=1), y


@cache
def weather(*, scaled: bool) -> Data:
    """The curve's variables as air pressures in hectopascal: 1013 and a few around it."""
    x, y = curve()
    return (x if scaled else 1013.0 + 3.0 * x), y


@cache
def concentrations(*, scaled: bool) -> Data:
    """Breast-cancer features as if given in moles per litre where micromoles are usual."""
    x, y = cancer()
    return (x if scaled else 1e-6 * x), y


@cache
def audio(*, scaled: bool) -> Data:
    """The recall sequences as 16-bit integers, -32768 to 32767, or divided by their range."""
    x, y = recall(12)
    return (x if scaled else (x / x.abs().max() * 32767).round()), y


class AudioNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 32, batch_first=True)
        self.fc = nn.Linear(32, 4)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])


class GreyConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        return self.fc(x.flatten(1))


@cache
def flat(*, scaled: bool) -> Data:
    """Flats at map coordinates in metres (a town within 3 km), with the price by place and two more features."""
    noise = torch.Generator().manual_seed(41)
    place = torch.rand(1500, 2, generator=noise) - 0.5
    rest = torch.randn(1500, 2, generator=noise)
    price = torch.sin(4 * place[:, :1]) + 2 * place[:, 1:] + 0.3 * rest[:, :1]
    place = place if scaled else torch.tensor([458_000.0, 5_428_000.0]) + 3000 * place
    return torch.cat([place, rest], dim=1), (price - price.mean()) / price.std()


CASES: tuple[Case, ...] = (
    Case(
        "softmax-into-cross-entropy-sgd",
        "mlp",
        lambda: assemble(SoftmaxOut(True), digits(), sgd(0.03)),
        causes=("SG303",),
        line="F.softmax(x, dim=1)",
        twin=lambda: assemble(SoftmaxOut(False), digits(), sgd(0.03)),
    ),
    Case(
        "sequential-softmax-into-cross-entropy",
        "conv",
        lambda: assemble(conv_classifier(nn.Softmax(dim=1)), images(), sgd(0.03)),
        causes=("SG303",),
        line="nn.Softmax(dim=1)",
        twin=lambda: assemble(conv_classifier(), images(), sgd(0.03)),
    ),
    Case(
        "sigmoid-into-bce-with-logits",
        "mlp",
        lambda: assemble(Detector(True), tumours(), sgd(0.005), loss_fn=F.binary_cross_entropy_with_logits),
        causes=("SG303",),
        line="torch.sigmoid(out)",
        twin=lambda: assemble(Detector(False), tumours(), sgd(0.005), loss_fn=F.binary_cross_entropy_with_logits),
    ),
    Case(
        "softmax-over-a-vocabulary",
        "language",
        lambda: assemble(LanguageModel(True), text(), adam(3e-3), loss_fn=next_token),
        causes=("SG303",),
        line="torch.softmax(logits, dim=-1)",
        twin=lambda: assemble(LanguageModel(False), text(), adam(3e-3), loss_fn=next_token),
    ),
    Case(
        "sigmoid-mse-saturated",
        "mlp",
        lambda: assemble(OneHotUnits(), one_hot(), sgd(0.03), loss_fn=F.mse_loss),
        causes=("SG303", "SG102"),
        line="scores.sigmoid()",
        twin=lambda: assemble(OneHotUnits(), one_hot(), sgd(0.03), loss_fn=F.binary_cross_entropy),
    ),
    Case(
        "raw-wine-tanh-sgd",
        "mlp",
        lambda: assemble(TanhNet(13, 3), wine(scaled=False), sgd(0.03)),
        causes=("SG304", "SG102"),
        line="self.first(x)",
        twin=lambda: assemble(TanhNet(13, 3), wine(), sgd(0.03)),
    ),
    Case(
        "raw-cancer-relu-sgd",
        "mlp",
        lambda: assemble(TanhNet(30, 2, torch.relu), cancer(scaled=False), sgd(0.03)),
        causes=("SG304",),
        line="self.first(x)",
        twin=lambda: assemble(TanhNet(30, 2, torch.relu), cancer(), sgd(0.03)),
    ),
    Case(
        "grey-levels-conv-sgd",
        "conv",
        lambda: assemble(GreyConv(), grey_images(scaled=False), sgd(0.1)),
        causes=("SG304", "SG204"),
        line="self.conv1(x)",
        twin=lambda: assemble(GreyConv(), grey_images(scaled=True), sgd(0.1)),
    ),
    Case(
        "unix-time-among-the-features",
        "mlp",
        lambda: assemble(TanhNet(5, 1), logged(scaled=False), loss_fn=F.mse_loss),
        causes=("SG304", "SG102"),
        line="self.first(x)",
        twin=lambda: assemble(TanhNet(5, 1), logged(scaled=True), loss_fn=F.mse_loss),
    ),
    Case(
        "pressures-in-hectopascal",
        "mlp",
        lambda: assemble(TanhNet(4, 1), weather(scaled=False), loss_fn=F.mse_loss),
        causes=("SG304", "SG102"),
        line="self.first(x)",
        twin=lambda: assemble(TanhNet(4, 1), weather(scaled=True), loss_fn=F.mse_loss),
    ),
    Case(
        "concentrations-in-moles",
        "mlp",
        lambda: assemble(TanhNet(30, 2), concentrations(scaled=False)),
        causes=("SG304", "SG105"),
        line="self.first(x)",
        twin=lambda: assemble(TanhNet(30, 2), concentrations(scaled=True)),
    ),
    Case(
        "sixteen-bit-audio",
        "recurrent",
        lambda: assemble(AudioNet(), audio(scaled=False), adam(1e-2)),
        steps=300,
        causes=("SG304", "SG102"),
        line="self.rnn(x)",
        twin=lambda: assemble(AudioNet(), audio(scaled=True), adam(1e-2)),
    ),
    Case(
        "map-coordinates-in-metres",
        "mlp",
        lambda: assemble(TanhNet(4, 1, F.gelu), flat(scaled=False), loss_fn=F.mse_loss),
        causes=("SG304", "SG204", "SG105"),
        line="self.first(x)",
        twin=lambda: assemble(TanhNet(4, 1, F.gelu), flat(scaled=True), loss_fn=F.mse_loss),
    ),
)
