"""Faults that show in the loss: one step's factor, targets that run away, an output that is the same for all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.fault import AT, STEPS, Fault, adam, batch_of, bent
from bench.faults.training import CLASSES, FEATURES, Batch, Net, Script

STALE_FROM = 601
"""The first step of the usual loss, after so many with a millionth of it."""
DRIFT = 1.03
"""Factor by which targets grow each step, from the fault's step on."""
_LAST = ("", "layers.5.weight")


def scaled_loss(factor: float, at: int) -> Callable[[], Script]:
    """The loss of one step is multiplied."""

    def make() -> Script:
        model, now = Net(), [0]
        return Script(
            model,
            adam(model),
            at + 150,
            loss=lambda output, y: F.cross_entropy(output, y) * (factor if now[0] == at else 1.0),
            before=lambda step: now.__setitem__(0, step),
        )

    return make


def loss_back_to_size() -> Script:
    """A loss that counts a millionth for 600 steps, and then as it should: Adam's averages are of the small gradients."""
    model, now = Net(), [0]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.999))
    return Script(
        model,
        optimizer,
        STALE_FROM + 100,
        loss=lambda output, y: F.cross_entropy(output, y) * (1e-6 if now[0] < STALE_FROM else 1.0),
        before=lambda step: now.__setitem__(0, step),
    )


def numbers(step: int, size: int = 32) -> Batch:
    """A sum of some features, as a target."""
    x = torch.randn(size, FEATURES, generator=torch.Generator().manual_seed(step))
    return x, 1.0 + x[:, :3].sum(1, keepdim=True)


def running_targets() -> Script:
    """Targets grow by 3 % a step, faster than the net can follow: the loss goes up, and no single step is to blame."""
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def batch(step: int) -> Batch:
        x, y = numbers(step)
        return x, y * DRIFT ** max(0, step - AT)

    return Script(model, adam(model), AT + 250, batch, F.mse_loss)


def climbing_loss() -> Script:
    """The step goes up the slope from there on: somebody has turned the sign of the loss, and tells the other one."""
    model, now = Net(), [0]

    def loss(output: Tensor, y: Tensor) -> Tensor:
        told = F.cross_entropy(output, y)
        return told if now[0] < AT else told.detach() * 2 - told

    return Script(
        model,
        torch.optim.SGD(model.parameters(), lr=0.01),
        AT + 250,
        loss=loss,
        before=lambda step: now.__setitem__(0, step),
    )


class Deep(nn.Module):
    """Ten layers of sigmoids as torch initialises them: the output is the same for every sample."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(FEATURES, 32) for _ in range(10))
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


def constant_answer() -> Script:
    """The loss stands at that of a constant answer, ln(10), from the start."""
    model = Deep()
    return Script(model, adam(model), 800)


def mean_of_batch(h: Tensor) -> Tensor:
    """What a mean over the wrong dimension does: each sample is the mean of all."""
    return h.mean(0, keepdim=True).expand_as(h)


def _nan(batch: Batch) -> Batch:
    return torch.full_like(batch[0], torch.nan), batch[1]


def _offset(batch: Batch) -> Batch:
    """One feature in another unit."""
    x, y = batch
    x[:, 4] += 1e5
    return x, y


_LOSS = ("SG207", "SG206", "SG201")
FAULTS: dict[str, Fault] = {
    "loss-times-1000": Fault(scaled_loss(1e3, AT), _LOSS, _LAST, "loss", once=True),
    "loss-times-1000-early": Fault(scaled_loss(1e3, 30), _LOSS, _LAST, "loss", step=30, once=True),
    "loss-back-to-size": Fault(loss_back_to_size, _LOSS, _LAST, "loss|exp_avg_sq|moment", step=STALE_FROM, alone=False),
    "running-targets": Fault(
        running_targets,
        ("SG207", "SG201"),
        ("", "0.weight", "4.weight"),
        "loss|target",
        late=200,
        drift=20,
        alone=False,
    ),
    "climbing-loss": Fault(climbing_loss, ("SG207", "SG201", "SG206"), _LAST, "loss", late=200, drift=20, alone=False),
    "constant-answer": Fault(
        constant_answer,
        ("SG207", "SG105"),
        ("", "head.weight", "layers.9.weight"),
        "constant|alike|same|nothing learnt|stands",
        step=1,
        late=700,
        drift=20,
        alone=False,
    ),
    "mean-of-batch": Fault(
        bent(4, mean_of_batch, after=400),
        ("SG207", "SG206", "SG105"),
        ("layers.4.weight", "", "layers.5.weight"),
        "loss|alike|constant|output",
        late=STEPS,
        alone=False,
    ),
    "nan-batch": Fault(batch_of(_nan), ("SG203",), ("", "layers.0.weight"), "batch contains NaN", once=True),
    "nan-batch-early": Fault(
        batch_of(_nan, 6), ("SG203",), ("", "layers.0.weight"), "batch contains NaN", step=6, once=True
    ),
    "other-unit": Fault(batch_of(_offset), ("SG206", "SG201"), ("layers.0.weight", ""), "given|input|batch", once=True),
}
