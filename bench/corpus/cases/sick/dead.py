"""Nets whose rectified units never fire, or never leave their ceiling, on any sample of the batch.

Each twin moves the bias, the input or the threshold back to where units work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import Made, sick_case
from bench.corpus.cases.parts import adam, assemble, cancer, digits, images, raw_digits, sgd


class BiasedMLP(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(64, 64) for _ in range(3))
        self.out = nn.Linear(64, 10)
        for fc in self.hidden:
            nn.init.constant_(fc.bias, bias)

    def forward(self, x):
        for fc in self.hidden:
            x = torch.relu(fc(x))
        return self.out(x)


class RectifiedInput(nn.Module):
    """Rectifies its input; fine for grey levels, fatal for their negatives."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(x)
        return self.fc2(torch.tanh(self.fc1(x)))


def signed_digits(sign: int):
    x, y = raw_digits()
    return sign * x / 16, y


class ReluOutput(nn.Module):
    """Rectified scores whose bias starts far below zero."""

    def __init__(self, bias):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.Tanh())
        self.head = nn.Linear(64, 10)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, x):
        return F.relu(self.head(self.body(x)))


def capped(gain: float) -> nn.Sequential:
    """ReLU6 after a first layer so large that units sit at 0 or 6; two more such layers follow."""
    model = nn.Sequential(
        nn.Linear(30, 48), nn.ReLU6(), nn.Linear(48, 48), nn.ReLU6(), nn.Linear(48, 48), nn.ReLU6(), nn.Linear(48, 2)
    )
    with torch.no_grad():
        for layer in (model[0], model[2], model[4]):
            layer.bias.fill_(6 * gain)
    return model


class SunkConv(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 16, 10)
        with torch.no_grad():
            self.conv1.bias -= shift

    def forward(self, x):
        x = self.conv1(x).clamp(min=0)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


class Thresholded(nn.Module):
    def __init__(self, threshold):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.threshold = threshold

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.threshold(self.fc2(x), self.threshold, 0.0)
        return self.fc3(x)


def after_one_step(rate: float) -> Made:
    """A net picked up after its first step at ``rate``, and trained on at a modest one."""
    made = assemble(BiasedMLP(0.0), digits(), sgd(rate))
    x, y = made.batch
    made.loss_fn(made.model(x), y).backward()
    made.optimizer.step()
    return assemble(made.model, digits(), sgd(0.05))


CASES = (
    sick_case("relu-bias-minus-10", "mlp", 0.9493, "SG103", line="torch.relu(fc(x))")(
        lambda sick: assemble(BiasedMLP(-10.0 if sick else 0.0), digits())
    ),
    sick_case("relu-dead-after-a-huge-step", "mlp", 0.769, "SG103", "SG105", line="torch.relu(fc(x))")(
        lambda sick: after_one_step(1000.0 if sick else 0.05)
    ),
    sick_case("relu-on-negative-input", "mlp", 0.7852, "SG103", "SG105", line="F.relu(x)")(
        lambda sick: assemble(RectifiedInput(), signed_digits(-1 if sick else 1))
    ),
    sick_case("relu-on-scores", "mlp", 0.7672, "SG103", line="F.relu(self.head(self.body(x)))")(
        lambda sick: assemble(ReluOutput(-20.0 if sick else 0.0), digits())
    ),
    sick_case("relu6-at-its-ceiling", "mlp", 0.8821, "SG103", "SG102", line="nn.ReLU6()")(
        lambda sick: assemble(capped(10.0 if sick else 0.0), cancer(), sgd(0.05))
    ),
    sick_case("conv-bias-sunk", "conv", 0.9336, "SG103", line="self.conv1(x).clamp(min=0)")(
        lambda sick: assemble(SunkConv(50.0 if sick else 0.0), images(), sgd(0.05))
    ),
    sick_case("threshold-too-high", "mlp", 0.94, "SG103", line="F.threshold(self.fc2(x), self.threshold, 0.0)")(
        lambda sick: assemble(Thresholded(20.0 if sick else 0.0), digits(), adam())
    ),
)
