"""The trunk against what we did not write: plain autograd in float64, and closed forms."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.copies.copying import on_copy
from steadygrad.probe.run_probe import probe
from steadygrad.record import Trace
from tests.families import always
from tests.truth.nets import MODELS, built


def traced(model, x, y, loss=F.mse_loss) -> Trace:
    with on_copy(model, None) as copied:
        return probe(copied.model, lambda m, batch: (loss(out := m(batch[0]), batch[1]), out), (x, y))


@dataclass(frozen=True)
class Seen:
    """One of the nets, as the probe sees it and as torch alone does."""

    name: str
    trace: Trace
    expected: float
    expected_of: dict[str, float]


@pytest.fixture(scope="module", params=MODELS)
def seen(request) -> Seen:
    model, x, y = built(request.param)
    expected, expected_of = gradient_in_float64(model, x, y)
    return Seen(request.param, traced(model, x, y), expected, expected_of)


def gradient_in_float64(model, x, y) -> tuple[float, dict[str, float]]:
    """log10 norms of the gradient of the input and of every parameter, by torch alone."""
    model = copy.deepcopy(model).double()
    leaf = x.double().requires_grad_()
    F.mse_loss(model(leaf.clone()), y.double()).backward()
    return float(leaf.grad.norm().log10()), {n: float(p.grad.norm().log10()) for n, p in model.named_parameters()}


def test_decades_agree_with_float64_autograd(seen):
    assert seen.trace.trunk.decades == pytest.approx(seen.expected, abs=1e-3)


def test_parameter_gradients_agree_with_float64_autograd(seen):
    found = {p.name: p.log10_gradient for p in seen.trace.parameters}
    assert found.keys() == seen.expected_of.keys()
    for parameter, value in seen.expected_of.items():
        # A bias in front of batch norm has a gradient of 0 but for rounding, which differs between the formats.
        if value > -15 or seen.name != "batch-norm":
            assert found[parameter] == pytest.approx(value, abs=2e-3), parameter


def test_blame_adds_up_to_the_total(seen):
    trunk = seen.trace.trunk
    assert sum(trunk.blame.values()) == pytest.approx(trunk.decades, abs=1e-9)
    last = trunk.steps[-1]
    assert last.log10_gradient + last.decades - trunk.log10_start == pytest.approx(trunk.decades, abs=1e-9)


class Diagonal(nn.Module):
    """x ← d·x, layer after layer, with no rounding that could hide an error."""

    def __init__(self, factors: torch.Tensor) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(f.clone()) for f in factors])

    def forward(self, x):
        for weight in self.weights:
            x = x * weight
        return x


@pytest.mark.parametrize("depth", always([10, 100, 1_000, 10_000], "10", "100"))
@pytest.mark.parametrize("scale", [0.5, 2.0, 0.93, 1.07])
def test_a_diagonal_linear_net_loses_what_the_closed_form_says(depth, scale):
    model = Diagonal(torch.full((depth, 4), scale, dtype=torch.float64))
    x = torch.ones(2, 4, dtype=torch.float64) * 1e-300 if scale > 1 else torch.ones(2, 4, dtype=torch.float64)
    trace = traced(model, x, x, loss=lambda out, _: (out * 1.0).sum())
    # d(sum)/dx is scale^depth in each of 8 entries.
    assert trace.trunk.decades == pytest.approx(depth * math.log10(scale) + 0.5 * math.log10(8), abs=1e-6)


@pytest.mark.parametrize("depth", always([10, 1_000, 10_000], "10"))
@pytest.mark.parametrize("scale", [0.5, 0.9, 1.1])
def test_an_orthogonal_net_times_a_scale_loses_what_the_closed_form_says(depth, scale):
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0] * scale
    layers = []
    for _ in range(depth):
        layer = nn.Linear(4, 4, bias=False, dtype=torch.float64)
        layer.weight = nn.Parameter(rotation.clone())
        layers.append(layer)
    x = torch.zeros(2, 4, dtype=torch.float64)
    trace = traced(nn.Sequential(*layers), x, x, loss=lambda out, _: out.sum())
    assert trace.trunk.decades == pytest.approx(depth * math.log10(scale) + 0.5 * math.log10(8), abs=1e-6)


@pytest.mark.long
def test_a_thousand_sigmoid_layers_read_where_float32_reads_zero():
    torch.manual_seed(0)
    model = nn.Sequential(*[m for _ in range(1_000) for m in (nn.Linear(8, 8), nn.Sigmoid())])
    x = torch.randn(4, 8)
    leaf = x.clone().requires_grad_()
    model(leaf).sum().backward()
    assert float(leaf.grad.norm()) == 0.0
    assert -1_100 < traced(model, x, x).trunk.decades < -600
