"""Nets whose activations are saturated: stacks of sigmoid and its kin, weights too large for tanh, gates shut for good.

Each twin differs by the activation, by a normalisation in front of it, or by the scale of the weights.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import sick_case
from bench.corpus.cases.parts import adam, assemble, digits, images, reconstruction, sgd


class SigmoidLoop(nn.Module):
    """The textbook net of the nineties, with more layers."""

    def __init__(self, depth: int = 10, width: int = 64):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(64 if i == 0 else width, width) for i in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        for fc in self.hidden:
            x = torch.sigmoid(fc(x))
        return self.head(x)


class ReluLoop(SigmoidLoop):
    def forward(self, x):
        for fc in self.hidden:
            x = torch.relu(fc(x))
        return self.head(x)


def sigmoid_sequence(depth: int = 20, *, norm: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers.append(nn.Linear(64, 64))
        if norm:
            layers.append(nn.BatchNorm1d(64))
        layers.append(nn.Sigmoid())
    return nn.Sequential(*layers, nn.Linear(64, 10))


class ActivatedMLP(nn.Module):
    """Activation as a module, initialisation as an argument: how most people's own MLP looks."""

    def __init__(self, depth: int, act: nn.Module, init=None, width: int = 64):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, width) if i == 0 else nn.Linear(width, width) for i in range(depth))
        self.out = nn.Linear(width, 10)
        self.act = act
        if init is not None:
            for layer in self.layers:
                init(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.out(x)


class MethodSigmoid(nn.Module):
    """Sigmoid called as a tensor method, Xavier weights; the twin adds a skip around every layer."""

    def __init__(self, skip: bool = False):
        super().__init__()
        self.skip = skip
        self.fcs = nn.ModuleList(nn.Linear(64, 64) for _ in range(10))
        self.head = nn.Linear(64, 10)
        for fc in self.fcs:
            nn.init.xavier_uniform_(fc.weight)

    def forward(self, x):
        for fc in self.fcs:
            h = fc(x).sigmoid()
            x = x + h if self.skip else h
        return self.head(x)


class WideInitTanh(nn.Module):
    def __init__(self, std: float, depth: int = 15):
        super().__init__()
        self.body = nn.ModuleList([nn.Linear(64, 64) for _ in range(depth)])
        self.out = nn.Linear(64, 10)
        for fc in self.body:
            nn.init.normal_(fc.weight, std=std)

    def forward(self, x):
        for fc in self.body:
            x = torch.tanh(fc(x))
        return self.out(x)


def hard_block(width: int, act: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), act())


class SigmoidConvNet(nn.Module):
    def __init__(self, act=torch.sigmoid, depth: int = 8):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(12, 12, 3, padding=1) for _ in range(depth))
        self.fc = nn.Linear(12, 10)
        self.act = act

    def forward(self, x):
        x = self.act(self.stem(x))
        for conv in self.convs:
            x = self.act(conv(x))
        return self.fc(x.mean((2, 3)))


class NormedSigmoid(nn.Module):
    """A norm before each sigmoid. Layer norm leaves the samples free to become alike; batch norm does not."""

    def __init__(self, norm: type[nn.Module], depth: int = 30):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.norms = nn.ModuleList(norm(64) for _ in range(depth))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for fc, norm in zip(self.fcs, self.norms, strict=True):
            x = torch.sigmoid(norm(fc(x)))
        return self.head(x)


class Gate(nn.Module):
    """A gated linear unit; ``shift`` closes it before training begins."""

    def __init__(self, inputs: int, outputs: int, shift: float):
        super().__init__()
        self.value, self.gate = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.shift = shift

    def forward(self, x):
        return self.value(x) * torch.sigmoid(self.gate(x) - self.shift)


def gated_mlp(shift: float) -> nn.Sequential:
    return nn.Sequential(Gate(64, 48, shift), Gate(48, 48, shift), nn.Linear(48, 10))


class ClippedOutput(nn.Module):
    """Scores clipped to ±1, after a gain that drives all of them past it."""

    def __init__(self, gain: float):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 64), nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)
        self.gain = gain

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return F.hardtanh(self.head(x) * self.gain)


class Autoencoder(nn.Module):
    def __init__(self, act: type[nn.Module]):
        super().__init__()
        widths = [64, 48, 40, 32, 24, 16]
        encoder, decoder = [], []
        for wide, narrow in pairwise(widths):
            encoder += [nn.Linear(wide, narrow), act()]
        for narrow, wide in zip(widths[::-1], widths[-2::-1], strict=False):
            decoder += [nn.Linear(narrow, wide), act()]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder[:-1])

    def forward(self, x):
        return self.decoder(self.encoder(x))


class SoftmaxHidden(nn.Module):
    """Softmax as a hidden activation."""

    def __init__(self, squash: bool):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(64, 64) for _ in range(4))
        self.head = nn.Linear(64, 10)
        self.squash = squash

    def forward(self, x):
        for fc in self.fcs:
            x = torch.softmax(fc(x), dim=-1) if self.squash else torch.relu(fc(x))
        return self.head(x)


ACTIVATIONS = {"sigmoid": nn.Sigmoid, "silu": nn.SiLU, "relu": nn.ReLU}


class ConfiguredNet(nn.Module):
    """Activation chosen by a configuration string."""

    def __init__(self, config: dict):
        super().__init__()
        blocks = []
        for _ in range(config["num_layers"]):
            blocks.append(nn.Sequential(nn.Linear(64, 64), ACTIVATIONS[config["hidden_act"]]()))
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(self.blocks(x))


def _hard(act: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(hard_block(64, act) for _ in range(10)), nn.Linear(64, 10))


CASES = (
    sick_case(
        "sigmoid-10-loop-adam", "mlp", 0.7755, "SG102", line="torch.sigmoid(fc(x))", source="Glorot & Bengio 2010"
    )(lambda sick: assemble(SigmoidLoop() if sick else ReluLoop(), digits())),
    sick_case("sigmoid-20-sequential-sgd", "mlp", 0.6202, "SG102", line="nn.Sigmoid()")(
        lambda sick: assemble(sigmoid_sequence(20, norm=not sick), digits(), sgd(0.03))
    ),
    sick_case("sigmoid-50-he", "mlp", 0.4354, "SG102", steps=150, line="self.act(layer(x))")(
        lambda sick: assemble(ActivatedMLP(50, nn.Sigmoid() if sick else nn.ReLU(), nn.init.kaiming_normal_), digits())
    ),
    sick_case("sigmoid-10-xavier-method", "mlp", 0.8953, "SG102", line="fc(x).sigmoid()")(
        lambda sick: assemble(MethodSigmoid(skip=not sick), digits())
    ),
    sick_case("tanh-weights-std-5", "mlp", 0.7562, "SG102", "SG301", line="torch.tanh(fc(x))")(
        lambda sick: assemble(WideInitTanh(5.0 if sick else 0.125), digits(), sgd(0.03))
    ),
    sick_case("hardsigmoid-10-blocks", "mlp", 0.5976, "SG102", line="act()")(
        lambda sick: assemble(_hard(nn.Hardsigmoid if sick else nn.Hardswish), digits())
    ),
    sick_case("softsign-30", "mlp", 0.7981, "SG102", "SG301", line="self.act(layer(x))")(
        lambda sick: assemble(ActivatedMLP(30, nn.Softsign(), None if sick else nn.init.orthogonal_), digits())
    ),
    sick_case("sigmoid-conv-9", "conv", 0.3744, "SG102", line="self.act(conv(x))")(
        lambda sick: assemble(SigmoidConvNet(torch.sigmoid if sick else torch.relu), images())
    ),
    sick_case("sigmoid-layer-norm-30", "mlp", 0.7382, "SG102", "SG105", line="torch.sigmoid(norm(fc(x)))")(
        lambda sick: assemble(NormedSigmoid(nn.LayerNorm if sick else nn.BatchNorm1d), digits())
    ),
    sick_case("gates-shut", "gated", 0.9401, "SG102", line="torch.sigmoid(self.gate(x) - self.shift)")(
        lambda sick: assemble(gated_mlp(16.0 if sick else 0.0), digits())
    ),
    sick_case("hardtanh-output-clipped", "mlp", 0.6007, "SG102", line="F.hardtanh(self.head(x) * self.gain)")(
        lambda sick: assemble(ClippedOutput(1e4 if sick else 1.0), digits())
    ),
    sick_case("sigmoid-autoencoder", "autoencoder", 0.2931, "SG102", line="act()")(
        lambda sick: assemble(Autoencoder(nn.Sigmoid if sick else nn.Tanh), reconstruction(), loss_fn=F.mse_loss)
    ),
    sick_case("softmax-hidden-layers", "mlp", 0.8134, "SG102", line="torch.softmax(fc(x), dim=-1)")(
        lambda sick: assemble(SoftmaxHidden(sick), digits(), sgd(0.1))
    ),
    sick_case("sigmoid-12-from-config", "mlp", 0.4226, "SG102", line='ACTIVATIONS[config["hidden_act"]]()')(
        lambda sick: assemble(
            ConfiguredNet(
                {"num_layers": 12, "hidden_act": "sigmoid"} if sick else {"num_layers": 12, "hidden_act": "relu"}
            ),
            digits(),
            adam(3e-4 if sick else 1e-3),
        )
    ),
)
