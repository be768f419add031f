"""The working point of folded initialisation against float64 autograd and sampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from steadygrad.theory.activations import find
from steadygrad.theory.folding import ZETA, Folding, fold, moments
from tests.families import always

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softsign", "hardtanh")


@pytest.mark.parametrize("depth", always([10, 100, 1000], "100"))
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


@pytest.mark.parametrize("depth", always([3, 10, 30, 100, 300, 1000, 10_000], "3", "10000"))
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


@pytest.mark.parametrize("name", always(["sigmoid", "tanh", "relu", "gelu", "hardtanh"], "sigmoid", "relu"))
def test_no_other_working_point_uses_more(name: str) -> None:
    """Of those that heal and are not chaotic, by scale and share of the curvature; 2 % is the same."""
    phi, depth = find(name), 20
    most = ZETA ** (1 / depth) - 1

    def worth(point: Folding) -> float:
        return point.scale * max(0.0, (point.slope - 1) / most) ** 0.5

    chosen = fold(phi, depth)
    others = [moments(phi, scale / 20, shift / 4) for scale in range(1, 21) for shift in range(-24, 25)]
    rivals = [one for one in others if one.variance_slope <= 1 and one.slope - 1 <= most]
    assert len(rivals) > 3
    assert max(map(worth, rivals)) <= 1.021 * worth(chosen)
    # Of equals the one nearest to 0.
    nearer = [one for one in rivals if abs(one.shift) < abs(chosen.shift)]
    assert all(worth(one) < worth(chosen) for one in nearer)


@pytest.mark.parametrize("shift", [-0.5, 0.0, 2.0])
def test_a_straight_line_hands_on_its_moments(shift: float) -> None:
    """In closed form: of u = α z + β the mean is β, the deviation α, and both slopes are 1."""
    point = moments(find("linear"), 0.3, shift)
    found = (point.output_mean, point.output_std, point.slope, point.variance_slope)
    assert found == pytest.approx((shift, 0.3, 1.0, 1.0), abs=1e-12)


def test_the_exponential_has_its_closed_form() -> None:
    """Below its kink celu is eᵘ - 1: a log-normal, of variance e^(2β + α²)(e^(α²) - 1), E[φ′²] = e^(2β + 2α²)."""
    scale, shift = 0.5, -9.0
    point = moments(find("celu"), scale, shift)
    square = math.exp(scale**2)
    assert point.output_mean == pytest.approx(math.exp(shift + scale**2 / 2) - 1, rel=1e-12)
    assert point.output_std == pytest.approx(math.exp(shift) * math.sqrt(square * (square - 1)), rel=1e-9)
    assert point.slope == pytest.approx(scale**2 * square / (square - 1), rel=1e-9)
    # Half of d log(variance) ÷ d log(scale), by Stein's lemma.
    assert point.variance_slope == pytest.approx(scale**2 * (2 * square - 1) / (square - 1), rel=1e-9)


def test_what_does_not_vary_has_no_slope() -> None:
    point = moments(find("relu"), 0.1, -5.0)
    assert (point.output_mean, point.output_std) == (0.0, 0.0)
    assert math.isnan(point.slope) and math.isnan(point.variance_slope)
