"""A signal that underflows on its way forward: the trunk reads what float64 reads."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

import steadygrad as sg


def plain(depth: int, gain: float) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """ReLU layers without biases that shrink the signal by about ``gain`` each: float32 holds 45 decades of it."""
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(16, 16, bias=False), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        layers[-2].weight.data *= gain
    return nn.Sequential(*layers, nn.Linear(16, 4)), torch.randn(32, 16), torch.randint(0, 4, (32,))


@pytest.mark.long
@pytest.mark.parametrize("gain", [0.5, 0.3])
def test_where_the_signal_underflows_the_trunk_reads_what_float64_reads(gain: float) -> None:
    model, x, y = plain(200, gain)
    before = copy.deepcopy(model)
    report = sg.check(model, (x, y), nn.functional.cross_entropy, optimizer="adam:1e-3", trial=0)
    exact = sg.check(
        copy.deepcopy(model).double(), (x.double(), y), nn.functional.cross_entropy, optimizer="adam:1e-3", trial=0
    )
    assert report.trunk is not None and exact.trunk is not None
    assert -math.inf < exact.trunk.decades < -50
    assert report.trunk.decades == pytest.approx(exact.trunk.decades, abs=1e-4)
    for one, other in zip(report.trace.parameters, exact.trace.parameters, strict=True):
        assert one.log10_gradient == pytest.approx(other.log10_gradient, abs=1e-4), one.name
        assert one.dtype == "float32"
    assert report.verdict is sg.Verdict.WILL_NOT_TRAIN
    for one, other in zip(model.parameters(), before.parameters(), strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other) and one.grad is None


def test_a_zero_of_the_arithmetic_stays_a_zero() -> None:
    """All units are inactive in any format: no gradient passes them."""
    model, x, y = plain(4, 1.0)
    assert isinstance(model, nn.Sequential) and isinstance(model[2], nn.Linear)
    model[2].weight.data.abs_().neg_()
    report = sg.check(model, (x, y), nn.functional.cross_entropy, optimizer="adam:1e-3", trial=0)
    assert report.trunk is not None and report.trunk.decades == -math.inf
    assert report.trace.parameters[0].log10_gradient == -math.inf
