"""Sound nets whose optimizer moves them too far or hardly at all: rates, groups, schedules, decay, the size of the loss.

Each twin has the one number put right.
"""

from __future__ import annotations

from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import Made, sick_case
from bench.corpus.cases.nets import Built, ConvNet, TanhNet, plain
from bench.corpus.cases.parts import Data, adam, assemble, curve, diabetes, digits, images, recall, rows, sgd


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


def recaller() -> Built:
    return Built(nn.LSTM(5, 32, batch_first=True))


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
    model = plain(2, nn.ReLU)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for _ in range(epoch):
        optimizer.step()
        schedule.step()
    return assemble(model, digits(), optimizer)


def grouped(rate: float) -> Made:
    """A group of its own for the recurrent layer, at a rate of its own; the classifier alone cannot recall."""
    model = recaller()
    groups = [{"params": model.rnn.parameters(), "lr": rate}, {"params": model.head.parameters()}]
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
    model = plain(2, nn.ReLU)
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: gradient.clamp(-limit, limit))
    return assemble(model, digits(), sgd(0.1))


def averaged_twice(scores, y):
    """A mean over the batch, divided once more by the number of samples in the data set and of classes."""
    return F.cross_entropy(scores, y) / (1437 * 10)


CASES = (
    sick_case("sgd-rate-10", "mlp", 0.9225, "SG204")(
        lambda sick: assemble(plain(2, nn.ReLU), digits(), sgd(10.0 if sick else 0.1))
    ),
    sick_case("adam-rate-1", "conv", 0.9454, "SG204")(
        lambda sick: assemble(ConvNet(), images(), adam(1.0 if sick else 1e-3))
    ),
    sick_case("momentum-at-full-rate", "mlp", 0.8791, "SG204")(
        lambda sick: assemble(plain(2, nn.ReLU), digits(), sgd(0.5 if sick else 0.01, momentum=0.99))
    ),
    sick_case("prices-sgd", "mlp", 0.9673, "SG310", "SG204")(
        lambda sick: assemble(TanhNet(4, 1, width=48), prices(scaled=not sick), sgd(0.1), loss_fn=F.mse_loss)
    ),
    sick_case("prices-adam", "mlp", 0.9857, "SG310", "SG106")(
        lambda sick: assemble(TanhNet(4, 1, width=48), prices(scaled=not sick), adam(1e-2), loss_fn=F.mse_loss)
    ),
    sick_case("yields-sgd", "mlp", 0.2297, "SG310", "SG204")(
        lambda sick: assemble(TanhNet(10, 1, width=48), yields(scaled=not sick), sgd(0.1), loss_fn=F.mse_loss)
    ),
    sick_case("loss-summed-over-the-batch", "mlp", 0.9673, "SG204")(
        lambda sick: assemble(
            TanhNet(4, 1, width=48),
            curve(),
            sgd(0.1),
            loss_fn=partial(F.mse_loss, reduction="sum") if sick else F.mse_loss,
        )
    ),
    sick_case("transformer-adam-rate-1", "transformer", 0.8528, "SG204")(
        lambda sick: assemble(RowTransformer(), rows(), adam(1.0 if sick else 1e-3))
    ),
    sick_case("lstm-rmsprop-rate-1", "recurrent", 0.9985, "SG204")(
        lambda sick: assemble(recaller(), recall(10), partial(torch.optim.RMSprop, lr=1.0 if sick else 1e-2))
    ),
    sick_case("sgd-rate-1e-8", "mlp", 0.9225, "SG106")(
        lambda sick: assemble(plain(2, nn.ReLU), digits(), sgd(1e-8 if sick else 0.1))
    ),
    sick_case("adam-rate-and-epsilon-swapped", "transformer", 0.8528, "SG106")(
        lambda sick: assemble(RowTransformer(), rows(), adam(1e-8 if sick else 1e-3, eps=1e-3 if sick else 1e-8))
    ),
    sick_case("warm-up-never-stepped", "conv", 0.9453, "SG106")(lambda sick: scheduled(1000 if sick else 0)),
    sick_case("cosine-schedule-at-its-end", "mlp", 0.9811, "SG106")(lambda sick: resumed(100 if sick else 0)),
    sick_case("group-at-rate-zero", "recurrent", 0.7236, "SG106", steps=300)(
        lambda sick: grouped(0.0 if sick else 1e-2)
    ),
    sick_case("weights-kept-large", "mlp", 0.4739, "SG106")(
        lambda sick: assemble(Rescaled(1e4 if sick else 1.0), digits())
    ),
    sick_case("clip-hook-at-1e-6", "mlp", 0.9225, "SG106", "SG306")(lambda sick: hooked(1e-6 if sick else 1.0)),
    sick_case("loss-averaged-twice", "mlp", 0.9225, "SG106", "SG101", line="F.cross_entropy(scores, y) / (1437 * 10)")(
        lambda sick: (
            assemble(plain(2, nn.ReLU), digits(), sgd(0.1), loss_fn=averaged_twice)
            if sick
            else assemble(plain(2, nn.ReLU), digits(), sgd(0.1))
        )
    ),
    sick_case("adam-epsilon-1000", "conv", 0.9454, "SG106")(
        lambda sick: assemble(ConvNet(), images(), adam(1e-3, eps=1e3) if sick else adam(1e-3))
    ),
    sick_case("weight-decay-10", "mlp", 0.8657, "SG204", "SG105", "SG106")(
        lambda sick: assemble(plain(2, nn.ReLU), digits(), sgd(0.05, weight_decay=10.0 if sick else 1e-4))
    ),
    sick_case("decoupled-decay-30", "transformer", 0.8524, "SG204", "SG105", "SG106")(
        lambda sick: assemble(
            RowTransformer(), rows(), partial(torch.optim.AdamW, lr=1e-3, weight_decay=30.0 if sick else 0.01)
        )
    ),
    sick_case("coupled-decay-in-adam", "conv", 0.9283, "SG204", "SG105", "SG106")(
        lambda sick: assemble(
            ConvNet(),
            images(),
            adam(1e-3, weight_decay=1.0) if sick else partial(torch.optim.AdamW, lr=1e-3, weight_decay=1.0),
        )
    ),
)
