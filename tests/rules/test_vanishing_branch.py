"""What a branch loses behind its skip is told at the expression that takes it, and is a warning where its layers do not move."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg


class Block(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor], depth: int, gate: float | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.out = nn.Linear(64, 64)
        self.activation = activation
        self.gate = None if gate is None else nn.Parameter(torch.tensor(gate))

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for layer in self.layers:
            h = self.activation(layer(h))
        return x + (self.out(h) if self.gate is None else self.gate * self.out(h))


def net(activation: Callable[[Tensor], Tensor], depth: int, gate: float | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*[Block(activation, depth, gate) for _ in range(3)], nn.Linear(64, 10))


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(128, 64, generator=torch.Generator().manual_seed(0))
    return x, x[:, :10].argmax(1)


def found(model: nn.Module) -> list[sg.Finding]:
    report = sg.check(model, data(), F.cross_entropy, optimizer="adam:1e-3", trial=0)
    return [finding for finding in report.findings if finding.code == "SG112"]


def test_the_decades_are_those_of_float64_and_the_activation_is_marked() -> None:
    model = net(torch.sigmoid, 9)
    (finding,) = found(model)
    model.double()
    x, y = data()
    F.cross_entropy(model(x.double()), y).backward()
    lost = [
        math.log10(
            max(float(layer.weight.grad.norm()) for layer in [*block.layers, block.out])
            / float(block.layers[0].weight.grad.norm())
        )
        for block in model[:-1]
    ]
    assert finding.evidence[0].value == pytest.approx(max(lost), abs=0.01)
    assert finding.location is not None and finding.location.text == "self.activation(layer(h))"
    assert finding.count == 3 == sum(one > 5 for one in lost)
    assert "in 9 steps" in finding.label


@pytest.mark.parametrize(("optimizer", "severity"), [("sgd:0.1", "warning"), ("adam:1e-3", "info")])
def test_it_is_a_warning_where_the_first_layers_do_not_move(optimizer: str, severity: str) -> None:
    told = sg.check(net(torch.sigmoid, 9), data(), F.cross_entropy, optimizer=optimizer)
    (finding,) = (one for one in told.findings if one.code == "SG112")
    assert finding.severity.value == severity
    silent = sg.check(net(torch.sigmoid, 9), data(), F.cross_entropy, optimizer="adam:1e-3", ignore="SG112")
    assert silent.verdict is sg.Verdict.HEALTHY
    assert (told.verdict is sg.Verdict.HEALTHY) == (severity == "info")


@pytest.mark.parametrize(
    "model",
    [
        net(torch.relu, 3),
        net(torch.sigmoid, 2),
        net(torch.sigmoid, 9, gate=0.0),
        nn.Sequential(*[nn.Linear(64, 64), nn.Sigmoid()] * 9, nn.Linear(64, 10)),
    ],
    ids=["relu", "short", "shut by design", "no block"],
)
def test_other_nets_are_not_told_of_it(model: nn.Module) -> None:
    assert found(model) == []


class Scaled(nn.Module):
    """A branch that begins next to nothing (LayerScale), and a layer behind it, in one block."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.behind = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.behind(x + 1e-7 * self.small(x))


def test_a_branch_that_begins_small_by_design_is_not_told_of_it() -> None:
    torch.manual_seed(0)
    assert found(nn.Sequential(Scaled(), Scaled(), nn.Linear(64, 10))) == []


def test_attention_is_not_told_of_it() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True, norm_first=True)
    model = nn.Sequential(nn.Unflatten(1, (4, 16)), nn.Linear(16, 64), *[layer] * 2, nn.Flatten(), nn.Linear(256, 10))
    assert found(model) == []
