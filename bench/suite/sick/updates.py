"""Sound nets whose optimizer moves them too far or hardly at all: rates, groups, schedules, decay, the size of the loss.

Each twin has the one number put right.
"""

from __future__ import annotations

from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import nn

from bench.suite.case import Case, Made
from bench.suite.sick.tasks import Data, adam, assemble, curve, diabetes, digits, images, recall, rows, sgd


def classifier() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


class Regressor(nn.Module):
    def __init__(self, inputs: int = 4):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(inputs, 48), nn.Linear(48, 48), nn.Linear(48, 1)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc(F.relu(self.conv2(x)).flatten(1))


class RowTransformer(nn.Module):
    """Two pre-norm blocks over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.position = nn.Parameter(0.02 * torch.randn(8, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x) + self.position).mean(1))


class Recaller(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 32, batch_first=True)
        self.fc = nn.Linear(32, 4)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


@cache
def prices(*, scaled: bool) -> Data:
    """The curve as prices: 250,000 and 80,000 around it, or standardised."""
    x, y = curve()
    return x, y if scaled else 250_000.0 + 80_000.0 * y


@cache
def yields(*, scaled: bool) -> Data:
    """The diabetes scores standardised, or in a unit in which they are some hundreds."""
    x, y = diabetes()
    return x, y if scaled else 300.0 * y


def scheduled(warmup: int) -> Made:
    """A linear warm-up whose ``scheduler.step()`` the training loop never calls: the rate stays where it began."""
    model = ConvNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / warmup) if warmup else 1.0)
    return assemble(model, images(), optimizer)


def resumed(epoch: int) -> Made:
    """A cosine schedule taken up again at ``epoch`` of 100, as from a checkpoint; at 100 the rate is 0."""
    model = classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for _ in range(epoch):
        optimizer.step()
        schedule.step()
    return assemble(model, digits(), optimizer)


def grouped(rate: float) -> Made:
    """A group of its own for the recurrent layer, at a rate of its own; the classifier alone cannot recall."""
    model = Recaller()
    groups = [{"params": model.lstm.parameters(), "lr": rate}, {"params": model.fc.parameters()}]
    return assemble(model, recall(10), torch.optim.Adam(groups, lr=1e-2))


class Rescaled(nn.Module):
    """Weights kept at ``size`` and scaled back in use, as equalised learning rates do; updates are as small beside them."""

    def __init__(self, size: float):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)])
        self.size = size
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=size)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = F.linear(x, layer.weight / self.size / 8, layer.bias / self.size)
            x = F.gelu(x) if i < 2 else x
        return x


def hooked(limit: float) -> Made:
    """The clip by value that is often copied, a hook on every parameter, with a limit nothing can learn under."""
    model = classifier()
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: gradient.clamp(-limit, limit))
    return assemble(model, digits(), sgd(0.1))


def averaged_twice(scores, y):
    """A mean over the batch, divided once more by the number of samples in the data set and of classes."""
    return F.cross_entropy(scores, y) / (1437 * 10)


CASES: tuple[Case, ...] = (
    Case(
        "sgd-rate-10",
        "mlp",
        lambda: assemble(classifier(), digits(), sgd(10.0)),
        causes=("SG204",),
        twin=lambda: assemble(classifier(), digits(), sgd(0.1)),
    ),
    Case(
        "adam-rate-1",
        "conv",
        lambda: assemble(ConvNet(), images(), adam(1.0)),
        causes=("SG204",),
        twin=lambda: assemble(ConvNet(), images(), adam(1e-3)),
    ),
    Case(
        "momentum-at-full-rate",
        "mlp",
        lambda: assemble(classifier(), digits(), sgd(0.5, momentum=0.99)),
        causes=("SG204",),
        twin=lambda: assemble(classifier(), digits(), sgd(0.01, momentum=0.99)),
    ),
    Case(
        "prices-sgd",
        "mlp",
        lambda: assemble(Regressor(), prices(scaled=False), sgd(0.1), loss_fn=F.mse_loss),
        causes=("SG310", "SG204"),
        twin=lambda: assemble(Regressor(), prices(scaled=True), sgd(0.1), loss_fn=F.mse_loss),
    ),
    Case(
        "prices-adam",
        "mlp",
        lambda: assemble(Regressor(), prices(scaled=False), adam(1e-2), loss_fn=F.mse_loss),
        causes=("SG310", "SG106"),
        twin=lambda: assemble(Regressor(), prices(scaled=True), adam(1e-2), loss_fn=F.mse_loss),
    ),
    Case(
        "yields-sgd",
        "mlp",
        lambda: assemble(Regressor(10), yields(scaled=False), sgd(0.1), loss_fn=F.mse_loss),
        causes=("SG310", "SG204"),
        twin=lambda: assemble(Regressor(10), yields(scaled=True), sgd(0.1), loss_fn=F.mse_loss),
    ),
    Case(
        "loss-summed-over-the-batch",
        "mlp",
        lambda: assemble(Regressor(), curve(), sgd(0.1), loss_fn=partial(F.mse_loss, reduction="sum")),
        causes=("SG204",),
        twin=lambda: assemble(Regressor(), curve(), sgd(0.1), loss_fn=F.mse_loss),
    ),
    Case(
        "transformer-adam-rate-1",
        "transformer",
        lambda: assemble(RowTransformer(), rows(), adam(1.0)),
        causes=("SG204",),
        twin=lambda: assemble(RowTransformer(), rows(), adam(1e-3)),
    ),
    Case(
        "lstm-rmsprop-rate-1",
        "recurrent",
        lambda: assemble(Recaller(), recall(10), partial(torch.optim.RMSprop, lr=1.0)),
        causes=("SG204",),
        twin=lambda: assemble(Recaller(), recall(10), partial(torch.optim.RMSprop, lr=1e-2)),
    ),
    Case(
        "sgd-rate-1e-8",
        "mlp",
        lambda: assemble(classifier(), digits(), sgd(1e-8)),
        causes=("SG106",),
        twin=lambda: assemble(classifier(), digits(), sgd(0.1)),
    ),
    Case(
        "adam-rate-and-epsilon-swapped",
        "transformer",
        lambda: assemble(RowTransformer(), rows(), adam(1e-8, eps=1e-3)),
        causes=("SG106",),
        twin=lambda: assemble(RowTransformer(), rows(), adam(1e-3, eps=1e-8)),
    ),
    Case(
        "warm-up-never-stepped",
        "conv",
        lambda: scheduled(1000),
        causes=("SG106",),
        twin=lambda: scheduled(0),
    ),
    Case(
        "cosine-schedule-at-its-end",
        "mlp",
        lambda: resumed(100),
        causes=("SG106",),
        twin=lambda: resumed(0),
    ),
    Case(
        "group-at-rate-zero",
        "recurrent",
        lambda: grouped(0.0),
        steps=300,
        causes=("SG106",),
        twin=lambda: grouped(1e-2),
    ),
    Case(
        "weights-kept-large",
        "mlp",
        lambda: assemble(Rescaled(1e4), digits()),
        causes=("SG106",),
        twin=lambda: assemble(Rescaled(1.0), digits()),
    ),
    Case(
        "clip-hook-at-1e-6",
        "mlp",
        lambda: hooked(1e-6),
        causes=("SG106", "SG306"),
        twin=lambda: hooked(1.0),
    ),
    Case(
        "loss-averaged-twice",
        "mlp",
        lambda: assemble(classifier(), digits(), sgd(0.1), loss_fn=averaged_twice),
        causes=("SG106", "SG101"),
        line="F.cross_entropy(scores, y) / (1437 * 10)",
        twin=lambda: assemble(classifier(), digits(), sgd(0.1)),
    ),
    Case(
        "adam-epsilon-1000",
        "conv",
        lambda: assemble(ConvNet(), images(), adam(1e-3, eps=1e3)),
        causes=("SG106",),
        twin=lambda: assemble(ConvNet(), images(), adam(1e-3)),
    ),
    Case(
        "weight-decay-10",
        "mlp",
        lambda: assemble(classifier(), digits(), sgd(0.05, weight_decay=10.0)),
        causes=("SG204", "SG105", "SG106"),
        twin=lambda: assemble(classifier(), digits(), sgd(0.05, weight_decay=1e-4)),
    ),
    Case(
        "decoupled-decay-30",
        "transformer",
        lambda: assemble(RowTransformer(), rows(), partial(torch.optim.AdamW, lr=1e-3, weight_decay=30.0)),
        causes=("SG204", "SG105", "SG106"),
        twin=lambda: assemble(RowTransformer(), rows(), partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.01)),
    ),
    Case(
        "coupled-decay-in-adam",
        "conv",
        lambda: assemble(ConvNet(), images(), adam(1e-3, weight_decay=1.0)),
        causes=("SG204", "SG105", "SG106"),
        twin=lambda: assemble(ConvNet(), images(), partial(torch.optim.AdamW, lr=1e-3, weight_decay=1.0)),
    ),
)
