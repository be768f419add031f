"""Nets that are sound in themselves, put to work wrongly: squashed twice before the loss, or fed numbers as measured.

Each twin hands the loss what it expects, or standardises the numbers.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import sick_case
from bench.corpus.cases.nets import Built, ConvNet, TanhNet
from bench.corpus.cases.parts import Data, adam, assemble, cancer, curve, digits, images, raw_digits, recall, sgd, wine


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
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10), *last
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


@cache
def flat(*, scaled: bool) -> Data:
    """Flats at map coordinates in metres (a town within 3 km), with the price by place and two more features."""
    noise = torch.Generator().manual_seed(41)
    place = torch.rand(1500, 2, generator=noise) - 0.5
    rest = torch.randn(1500, 2, generator=noise)
    price = torch.sin(4 * place[:, :1]) + 2 * place[:, 1:] + 0.3 * rest[:, :1]
    place = place if scaled else torch.tensor([458_000.0, 5_428_000.0]) + 3000 * place
    return torch.cat([place, rest], dim=1), (price - price.mean()) / price.std()


CASES = (
    sick_case("softmax-into-cross-entropy-sgd", "mlp", 0.7168, "SG303", line="F.softmax(x, dim=1)")(
        lambda sick: assemble(SoftmaxOut(sick), digits(), sgd(0.03))
    ),
    sick_case("sequential-softmax-into-cross-entropy", "conv", 0.8696, "SG303", line="nn.Softmax(dim=1)")(
        lambda sick: assemble(conv_classifier(nn.Softmax(dim=1)) if sick else conv_classifier(), images(), sgd(0.03))
    ),
    sick_case("sigmoid-into-bce-with-logits", "mlp", 0.46, "SG303", line="torch.sigmoid(out)")(
        lambda sick: assemble(Detector(sick), tumours(), sgd(0.005), loss_fn=F.binary_cross_entropy_with_logits)
    ),
    sick_case("softmax-over-a-vocabulary", "language", 0.756, "SG303", line="torch.softmax(logits, dim=-1)")(
        lambda sick: assemble(LanguageModel(sick), text(), adam(3e-3), loss_fn=next_token)
    ),
    sick_case("sigmoid-mse-saturated", "mlp", 0.8195, "SG303", "SG102", line="scores.sigmoid()")(
        lambda sick: assemble(
            OneHotUnits(), one_hot(), sgd(0.03), loss_fn=F.mse_loss if sick else F.binary_cross_entropy
        )
    ),
    sick_case("raw-wine-tanh-sgd", "mlp", 0.9361, "SG304", "SG102", line="self.first(x)")(
        lambda sick: assemble(TanhNet(13, 3), wine(scaled=not sick), sgd(0.03))
    ),
    sick_case("raw-cancer-relu-sgd", "mlp", 0.8109, "SG304", line="self.first(x)")(
        lambda sick: assemble(TanhNet(30, 2, torch.relu), cancer(scaled=not sick), sgd(0.03))
    ),
    sick_case("grey-levels-conv-sgd", "conv", 0.8981, "SG304", "SG204", line="self.conv1(x)")(
        lambda sick: assemble(ConvNet(32), grey_images(scaled=not sick), sgd(0.1))
    ),
    sick_case("unix-time-among-the-features", "mlp", 0.815, "SG304", "SG102", line="self.first(x)")(
        lambda sick: assemble(TanhNet(5, 1), logged(scaled=not sick), loss_fn=F.mse_loss)
    ),
    sick_case("pressures-in-hectopascal", "mlp", 0.8286, "SG304", "SG102", line="self.first(x)")(
        lambda sick: assemble(TanhNet(4, 1), weather(scaled=not sick), loss_fn=F.mse_loss)
    ),
    sick_case("concentrations-in-moles", "mlp", 0.9222, "SG304", "SG105", line="self.first(x)")(
        lambda sick: assemble(TanhNet(30, 2), concentrations(scaled=not sick))
    ),
    sick_case("sixteen-bit-audio", "recurrent", 0.9997, "SG304", "SG102", steps=300, line="self.rnn(x)")(
        lambda sick: assemble(Built(nn.GRU(5, 32, batch_first=True)), audio(scaled=not sick), adam(1e-2))
    ),
    sick_case("map-coordinates-in-metres", "mlp", 0.9714, "SG304", "SG204", "SG105", line="self.first(x)")(
        lambda sick: assemble(TanhNet(4, 1, F.gelu), flat(scaled=not sick), loss_fn=F.mse_loss)
    ),
)
