"""The working point of folded initialisation against float64 autograd and sampling."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from steadygrad.theory.activations import find
from steadygrad.theory.folding import ZETA, fold

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softsign", "hardtanh")


@pytest.mark.parametrize("depth", [10, 100, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_the_working_point_is_what_autograd_measures(name: str, depth: int) -> None:
    phi = find(name)
    point = fold(phi, depth)
    z = torch.linspace(-9, 9, 400_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * z**2)
    weight /= weight.sum()
    u = (point.scale * z + point.shift).requires_grad_()
    value = getattr(torch, name, None) or getattr(F, name)
    output = value(u)
    (slope,) = torch.autograd.grad(output.sum(), u)
    mean = float((weight * output).sum())
    variance = float((weight * (output - mean) ** 2).sum())
    assert point.output_mean == pytest.approx(mean, abs=1e-5)
    assert point.output_std == pytest.approx(variance**0.5, rel=1e-4)
    assert point.slope == pytest.approx(point.scale**2 * float((weight * slope**2).sum()) / variance, rel=1e-4)


@pytest.mark.parametrize("depth", [3, 10, 30, 100, 300, 1000, 10_000])
@pytest.mark.parametrize("name", NAMES)
def test_no_net_is_chaotic_and_an_error_of_the_variance_heals(name: str, depth: int) -> None:
    point = fold(find(name), depth)
    assert 1.0 <= point.slope**depth <= ZETA * (1 + 1e-6)
    assert point.variance_slope <= 1.0 + 1e-6


def test_tanh_meets_zeta_exactly() -> None:
    assert fold(find("tanh"), 50).slope ** 50 == pytest.approx(ZETA, rel=1e-6)


@pytest.mark.parametrize(("depth", "zeta"), [(0, 1.5), (10, 1.0), (10, 0.5)])
def test_what_makes_no_sense_is_refused(depth: int, zeta: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        fold(find("tanh"), depth, zeta)
