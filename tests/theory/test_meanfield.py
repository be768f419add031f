"""Mean-field theory against closed forms, published constants, sampled wide nets, and laws that must hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.theory.activations import ACTIVATIONS, Activation, find
from steadygrad.theory.meanfield import (
    chi,
    critical_point,
    critical_weight_std,
    depth_scale,
    derivative_rms,
    expected_decades,
    fixed_point,
    gaussian_mean,
    probability_outside,
    second_moment,
    variance_map,
    variance_slope,
)


def known(name: str) -> Activation:
    activation = find(name)
    assert activation is not None
    return activation


RELU, TANH, ERF, LINEAR = known("relu"), known("tanh"), known("erf"), known("linear")


@given(variance=st.floats(1e-3, 1e3), power=st.sampled_from([0, 2, 4, 6]))
def test_gaussian_moments_are_the_double_factorials(variance: float, power: int) -> None:
    expected = math.prod(range(1, power, 2)) * variance ** (power / 2)
    assert gaussian_mean(lambda x: x**power, variance) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("variance", [0.1, 1.0, 9.0])
def test_relu_halves(variance: float) -> None:
    assert second_moment(RELU, variance) == pytest.approx(variance / 2, rel=1e-9)
    assert derivative_rms(RELU, variance) ** 2 == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("variance", [0.1, 1.0, 9.0])
def test_erf_has_its_closed_form(variance: float) -> None:
    """Williams 1997, *Computing with infinite networks*: E[erf(u)²] = (2/π) asin(2q ÷ (1 + 2q)); E[erf′²] = (4/π) ÷ √(1 + 4q)."""
    assert second_moment(ERF, variance) == pytest.approx(2 / math.pi * math.asin(2 * variance / (1 + 2 * variance)))
    assert derivative_rms(ERF, variance) ** 2 == pytest.approx(4 / math.pi / math.sqrt(1 + 4 * variance))


def correlation_map(phi: Any, correlation: float, variance: float, weight_std: float, bias_std: float = 0.0) -> float:
    """Correlation of two samples behind the next layer, from the one in front, at a fixed variance (Poole et al. 2016, eq. 5)."""
    apart = variance * (1.0 - correlation**2)

    def product(x: Any) -> Any:
        near = correlation * float(x[0])
        partner = gaussian_mean(lambda z: phi.function(near + z), apart, [kink - near for kink in phi.kinks])
        return np.asarray(phi.function(x) * partner)

    shared = gaussian_mean(product, variance, phi.kinks)
    return (weight_std**2 * shared + bias_std**2) / variance_map(phi, variance, weight_std, bias_std)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.99, 1.0])
def test_relu_correlations_follow_the_arc_cosine_kernel(correlation: float) -> None:
    """Cho & Saul 2009, degree 1: (sin θ + (π - θ) cos θ) ÷ π."""
    angle = math.acos(correlation)
    expected = (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi
    assert correlation_map(RELU, correlation, 1.0, math.sqrt(2)) == pytest.approx(expected, abs=1e-9)


def test_the_slope_of_the_correlation_map_at_1_is_chi() -> None:
    """Poole et al. 2016, equation 8, for tanh on its fixed point."""
    weight_std, bias_std = 1.5, 0.3
    variance = fixed_point(TANH, weight_std, bias_std)
    step = 1e-4
    rise = correlation_map(TANH, 1.0, variance, weight_std, bias_std) - correlation_map(
        TANH, 1 - step, variance, weight_std, bias_std
    )
    assert rise / step == pytest.approx(chi(TANH, variance, weight_std), rel=1e-3)


def test_tanh_turns_critical_at_weight_std_1_without_bias() -> None:
    """Poole et al. 2016, figure 1: the order-to-chaos line of tanh starts at (σ_w, σ_b) = (1, 0)."""
    assert critical_weight_std(TANH, 0.0) == pytest.approx(1.0, abs=1e-3)
    assert chi(TANH, fixed_point(TANH, 0.9, 0.05), 0.9) < 1 < chi(TANH, fixed_point(TANH, 1.5, 0.0), 1.5)


def test_the_critical_line_of_tanh_passes_where_others_measured_it() -> None:
    """σ_w² = 1.7603 at σ_b² = 0.05, the critical point of Schoenholz et al. 2017, section 3 (their figures use it)."""
    assert critical_weight_std(TANH, math.sqrt(0.05)) ** 2 == pytest.approx(1.7603, abs=5e-3)


@pytest.mark.parametrize("bias_std", [0.05, 0.2, 0.5])
def test_on_the_critical_line_nothing_shrinks(bias_std: float) -> None:
    weight_std = critical_weight_std(TANH, bias_std)
    assert weight_std is not None
    variance = fixed_point(TANH, weight_std, bias_std)
    assert chi(TANH, variance, weight_std) == pytest.approx(1.0, abs=1e-4)
    back = critical_point(TANH, variance)
    assert back[0] == pytest.approx(weight_std, rel=1e-4)
    assert back[1] == pytest.approx(bias_std, rel=1e-3)


def test_relu_is_critical_at_he_and_keeps_any_variance() -> None:
    weight_std, bias_std = critical_point(RELU, 1.0)
    assert weight_std**2 == pytest.approx(2.0) and bias_std == pytest.approx(0.0, abs=1e-4)
    assert fixed_point(RELU, weight_std) == pytest.approx(1.0)
    assert fixed_point(RELU, 1.6) == math.inf
    assert fixed_point(RELU, 1.0) == 0.0


def test_the_depth_scale_is_the_e_folding_length() -> None:
    """Schoenholz et al. 2017, equation 9."""
    assert depth_scale(math.exp(-1 / 7)) == pytest.approx(7.0)
    assert depth_scale(1.0) == math.inf
    assert depth_scale(0.0) == 0.0


WIDE = [("tanh", 1.0, 0.0), ("tanh", 1.5, 0.3), ("sigmoid", 1.0, 0.0), ("relu", 2**0.5, 0.0), ("gelu", 1.4, 0.1)]


@pytest.mark.parametrize(("name", "weight_std", "bias_std"), WIDE)
def test_wide_random_nets_do_what_the_theory_says(name: str, weight_std: float, bias_std: float) -> None:
    """Monte Carlo: twelve nets of width 600 and depth 8; a random cotangent is followed back by hand."""
    generator, depth = np.random.default_rng(0), 8
    sampled = [_random_net(generator, known(name), depth, weight_std, bias_std) for _ in range(12)]
    variance = 1.0
    for _ in range(depth):
        variance = variance_map(known(name), variance, weight_std, bias_std)
    assert np.mean([power for power, _ in sampled]) == pytest.approx(variance, rel=0.25)
    decades = expected_decades(known(name), depth, weight_std, bias_std)
    assert np.mean([gain for _, gain in sampled]) == pytest.approx(decades, abs=0.05)


def _random_net(
    generator: np.random.Generator, phi: Activation, depth: int, weight_std: float, bias_std: float, width: int = 600
) -> tuple[float, float]:
    """Mean square of the last pre-activation, and the decades that a gradient gains from there to the first."""
    h, layers = generator.standard_normal(width), []
    for _ in range(depth):
        matrix = generator.standard_normal((width, width)) * weight_std / math.sqrt(width)
        layers.append((matrix, phi.derivative(h)))
        h = matrix @ phi.function(h) + bias_std * generator.standard_normal(width)
    cotangent = gradient = generator.standard_normal(width)
    for matrix, slope in reversed(layers):
        gradient = slope * (matrix.T @ gradient)
    return float((h**2).mean()), math.log10(np.linalg.norm(gradient) / np.linalg.norm(cotangent))


@pytest.mark.long
@settings(deadline=None, max_examples=30)
@given(
    phi=st.sampled_from([a for a in ACTIVATIONS if a.name in ("tanh", "relu", "sigmoid", "softsign")]),
    first=st.integers(0, 6),
    second=st.integers(0, 6),
    weight_std=st.floats(0.5, 2.0),
)
def test_decades_add_over_depth(phi: Activation, first: int, second: int, weight_std: float) -> None:
    variance = 1.0
    for _ in range(first):
        variance = variance_map(phi, variance, weight_std, 0.1)
    together = expected_decades(phi, first + second, weight_std, 0.1)
    apart = expected_decades(phi, first, weight_std, 0.1) + expected_decades(phi, second, weight_std, 0.1, variance)
    assert together == pytest.approx(apart, abs=1e-9)


def test_a_product_of_many_factors_vanishes_or_explodes() -> None:
    """The central limit theorem against 20,000 sampled products of log-normal factors, and its limit in n."""
    logs = np.random.default_rng(0).normal(-0.01, 0.3, size=(20_000, 50)).sum(1)
    sampled = float(((logs < -2) | (logs > 2)).mean())
    assert probability_outside(50, -0.01, 0.3, -2, 2) == pytest.approx(sampled, abs=0.015)
    chances = [probability_outside(count, 0.0, 0.1, -3, 3) for count in (10, 1_000, 100_000, 10_000_000)]
    assert chances == sorted(chances) and chances[-1] > 0.98
    assert probability_outside(1_000_000, 0.0, 0.0, -3, 3) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: gaussian_mean(np.exp, -1.0),
        lambda: expected_decades(TANH, -1, 1.0),
        lambda: probability_outside(-1, 0, 1, 0, 1),
        lambda: probability_outside(5, 0, 1, 2, 1),
        lambda: gaussian_mean(lambda x: x * np.inf, 1.0),
    ],
)
def test_what_makes_no_sense_is_told(call) -> None:
    with pytest.raises(ValueError, match=r"expected|not finite"):
        call()


def test_a_linear_net_is_its_gain_to_the_power_of_its_depth() -> None:
    assert expected_decades(LINEAR, 100, 0.9) == pytest.approx(100 * math.log10(0.9))


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "selu", "hardtanh"])
@pytest.mark.parametrize("variance", [0.3, 1.0, 4.0])
def test_the_slope_of_the_variance_map_is_its_difference_quotient(name: str, variance: float) -> None:
    phi = find(name)
    assert phi is not None
    step = 1e-4 * variance
    rise = variance_map(phi, variance + step, 1.3) - variance_map(phi, variance - step, 1.3)
    assert variance_slope(phi, variance, 1.3) == pytest.approx(rise / (2 * step), rel=1e-4)


def test_relu_holds_every_variance() -> None:
    assert variance_slope(RELU, 1.0, math.sqrt(2)) == pytest.approx(1.0, abs=1e-9)
    assert variance_slope(RELU, 7.0, math.sqrt(2)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("weight_std", "bias_std"), [(0.8, 0.5), (0.5, 2.0), (0.0, 1.0)])
def test_a_linear_net_settles_on_its_geometric_series(weight_std: float, bias_std: float) -> None:
    """q* = σ_b² ÷ (1 - σ_w²), from any start."""
    for start in (0.01, 100.0):
        settled = fixed_point(LINEAR, weight_std, bias_std, start)
        assert settled == pytest.approx(bias_std**2 / (1 - weight_std**2), rel=1e-8)
    assert fixed_point(LINEAR, 0.9) == 0.0 and fixed_point(LINEAR, 1.1) == math.inf
    assert fixed_point(LINEAR, 1.0, start=3.0) == pytest.approx(3.0)


@pytest.mark.parametrize(("weight_std", "end"), [(1e-100, -math.inf), (1e100, math.inf)])
def test_beyond_the_range_of_floats_a_gain_is_infinite(weight_std: float, end: float) -> None:
    assert expected_decades(LINEAR, 1, weight_std) == pytest.approx(math.log10(weight_std))
    assert expected_decades(LINEAR, 5, weight_std) == end


FLAT = Activation("flat", np.zeros_like, np.zeros_like, 0.0)


def test_what_is_flat_hands_no_gradient_on() -> None:
    assert expected_decades(FLAT, 1, 1.0, 1.0) == -math.inf and expected_decades(FLAT, 0, 1.0) == 0.0
    assert critical_point(FLAT, 1.0) == (math.inf, None)


def test_no_bias_is_real_where_the_net_alone_exceeds_the_variance() -> None:
    """The sigmoid's mean of a half adds more than 1 at its critical σ_w; the linear net adds just all."""
    weight_std, bias_std = critical_point(known("sigmoid"), 1.0)
    assert weight_std**2 * second_moment(known("sigmoid")) > 1 and bias_std is None
    assert critical_point(LINEAR, 4.0) == pytest.approx((1.0, 0.0), abs=1e-4)
    assert critical_weight_std(RELU, 0.5) is None


@pytest.mark.parametrize(("deviations", "inside"), [(1, 0.6826894921), (2, 0.9544997361), (3, 0.9973002039)])
def test_a_product_stays_within_the_bounds_of_the_normal_law(deviations: int, inside: float) -> None:
    """68-95-99.7: of 4 factors whose logs deviate by a half the log of the product deviates by 1."""
    chance = probability_outside(4, 0.75, 0.5, 3 - deviations, 3 + deviations)
    assert chance == pytest.approx(1 - inside, abs=1e-9)


def test_a_product_that_does_not_vary_is_where_it_is() -> None:
    assert probability_outside(0, 1.0, 1.0, -3, 3) == 0.0
    assert probability_outside(3, 1.0, 0.0, 3, 3) == probability_outside(3, 1.0, 0.0, 3, 4) == 0.0
    assert probability_outside(3, 1.0, 0.0, 3.5, 4) == probability_outside(3, 1.0, 0.0, 2, 2.5) == 1.0


def test_a_mean_reaches_into_the_tails() -> None:
    """E[1{z > k}] = erfc(k ÷ √2) ÷ 2, the step split at its kink."""
    for k in (0.5, 3.0, 6.0):
        share = gaussian_mean(lambda x, k=k: (x > k).astype(float), 1.0, [k])
        assert share == pytest.approx(math.erfc(k / math.sqrt(2)) / 2, rel=1e-8)
        assert gaussian_mean(lambda x, k=k: (x > 2 * k).astype(float), 4.0, [2 * k]) == pytest.approx(share, rel=1e-9)
    assert gaussian_mean(np.cos, 0.0) == 1.0


@pytest.mark.parametrize(
    ("bias_std", "settled"), [(1.2e-6, 1.44e-12), (0.9e-6, 0.0), (0.9e6, 8.1e11), (1.2e6, math.inf)]
)
def test_a_variance_dies_below_1e_minus_12_and_grows_without_bound_above_1e12(bias_std: float, settled: float) -> None:
    """Without weights it is that of the bias."""
    assert fixed_point(LINEAR, 0.0, bias_std) == pytest.approx(settled, rel=1e-9, abs=0.0)


def test_a_mean_keeps_what_lies_at_the_end_of_the_tail() -> None:
    """E[z¹⁰⁰] = 99!! has most of its weight at ten standard deviations."""
    assert gaussian_mean(lambda x: (x / 10) ** 100) == pytest.approx(
        math.prod(n / 100 for n in range(1, 100, 2)), rel=0.05
    )


@pytest.mark.parametrize(
    ("slope", "layers"), [(0.5, 1 / math.log(2)), (2.0, 1 / math.log(2)), (1 - 1e-8, 1e8), (1 - 1e-10, math.inf)]
)
def test_a_deviation_lives_for_one_over_the_logarithm_of_the_slope(slope: float, layers: float) -> None:
    assert depth_scale(slope) == pytest.approx(layers, rel=1e-6)
    assert depth_scale(-1.0) == 0.0
