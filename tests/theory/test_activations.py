"""The activations against torch's own, in float64, and the table against numbers that others published."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import optimize
from torch.nn import functional as F

from steadygrad.theory.activations import ACTIVATIONS, Activation, find
from steadygrad.theory.meanfield import chi, critical_point, derivative_rms, fixed_point, variance_map
from steadygrad.theory.needed import needed_weight_variance
from steadygrad.theory.table import row_for, row_for_known, rows
from tests.families import always

TORCH = {"linear": lambda x: x, "sin": torch.sin, "erf": torch.erf, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def torch_function(name: str):
    return TORCH.get(name) or getattr(F, name)


def points(activation: Activation) -> np.ndarray:
    """A fine grid without the kinks, where a derivative is a matter of convention."""
    grid = np.linspace(-12, 12, 9_601) + 1e-4
    return grid[[all(abs(x - kink) > 1e-6 for kink in activation.kinks) for x in grid]]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
def test_value_and_derivative_are_torchs(activation: Activation) -> None:
    x = torch.tensor(points(activation), dtype=torch.float64, requires_grad=True)
    y = torch_function(activation.name)(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    np.testing.assert_allclose(activation.function(x.detach().numpy()), y.detach().numpy(), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(activation.derivative(x.detach().numpy()), slope.numpy(), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
def test_the_greatest_derivative_is_reached_and_not_passed(activation: Activation) -> None:
    slopes = np.abs(activation.derivative(np.linspace(-12, 12, 240_001)))
    assert slopes.max() <= activation.greatest_derivative * (1 + 1e-4)
    assert slopes.max() >= activation.greatest_derivative * (1 - 1e-3)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
def test_what_squashes_is_flat_on_both_sides(activation: Activation) -> None:
    far = np.abs(activation.derivative(np.array([-60.0, 60.0])))
    # ReLU6 is flat beyond 6 too, but what it does to a gradient around 0 is what ReLU does.
    assert activation.squashing == bool((far < 1e-3).all()) or activation.name == "relu6"


def test_names_are_found_as_torch_spells_them() -> None:
    for word, name in [("LeakyReLU", "leaky_relu"), ("relu_", "relu"), ("Swish", "silu"), ("SELU", "selu")]:
        activation = find(word)
        assert activation is not None and activation.name == name
    assert find("not_an_activation") is None


def test_published_scales() -> None:
    """He et al. 2015: 2 for ReLU; Glorot & Bengio 2010: 1 for tanh near 0."""
    assert needed_weight_variance("relu") == pytest.approx(2.0, rel=1e-9)
    assert needed_weight_variance("tanh") == pytest.approx(1.0, rel=1e-9)
    assert needed_weight_variance("linear") == pytest.approx(1.0, rel=1e-9)
    # nn.init.calculate_gain("leaky_relu", 0.01)² is torch's own statement of He's rule.
    gain = torch.nn.init.calculate_gain("leaky_relu", 0.01)
    assert needed_weight_variance("leaky_relu") == pytest.approx(gain**2, rel=1e-9)
    assert needed_weight_variance("unknown") is None


STABLE = {"gelu": 5.0, "silu": 30.0, "mish": 3.0, "hardswish": 6.0}
"""Where the critical point at N(0, 1) is unstable: a variance above that of the needed scale."""


@pytest.mark.parametrize("name", always(STABLE, "silu"))
def test_at_the_needed_scale_a_net_stays_where_at_that_of_a_unit_variance_it_runs_off(name: str) -> None:
    phi = find(name)
    needed = needed_weight_variance(name)
    assert phi is not None and needed is not None
    variance = float(optimize.brentq(lambda q: 1 / derivative_rms(phi, q) ** 2 - needed, 1.0, STABLE[name]))
    for at, stays in ((variance, True), (1.0, False)):
        weight_std, bias_std = critical_point(phi, at)
        assert bias_std is not None
        start = now = 1.1 * at
        for _ in range(60):
            now = variance_map(phi, now, weight_std, bias_std)
        assert (abs(now - at) < abs(start - at)) == stays, (at, now)


def test_the_sigmoid_needs_the_scale_at_which_its_own_fixed_point_is_critical() -> None:
    for name in ("sigmoid", "hardsigmoid"):
        phi, needed = find(name), needed_weight_variance(name)
        assert phi is not None and needed is not None
        assert chi(phi, fixed_point(phi, math.sqrt(needed)), math.sqrt(needed)) == pytest.approx(1.0, rel=1e-6)


def test_softplus_settles_under_its_needed_scale_and_runs_off_above() -> None:
    phi, needed = find("softplus"), needed_weight_variance("softplus")
    assert phi is not None and needed == pytest.approx(2.0, rel=1e-2)
    assert math.isfinite(fixed_point(phi, math.sqrt(0.9 * needed)))
    assert fixed_point(phi, math.sqrt(1.1 * needed)) == math.inf


@pytest.mark.parametrize("name", ["tanhshrink", "hardshrink"])
def test_under_what_dies_or_runs_off_at_every_scale_none_is_needed(name: str) -> None:
    phi = find(name)
    assert phi is not None and needed_weight_variance(name) is None
    ends = {fixed_point(phi, math.sqrt(scale)) for scale in (0.3, 1.0, 1.5, 3.0, 10.0)}
    assert ends <= {0.0, math.inf}


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """Klambauer et al. 2017, equation 14: with weights of variance 1/fan-in, N(0, 1) is a fixed point."""
    selu = find("selu")
    assert selu is not None
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    mean = float((selu.function(nodes) * weights).sum() / weights.sum())
    row = row_for_known("selu")
    assert row is not None
    assert mean == pytest.approx(0.0, abs=1e-2)
    assert row.second_moment == pytest.approx(1.0, abs=1e-9)


@pytest.mark.long
def test_every_row_is_the_expectation_that_sampling_gives() -> None:
    """Monte Carlo with a million draws: five standard errors."""
    z = np.random.default_rng(0).standard_normal(1_000_000)
    for row, activation in zip(rows(), ACTIVATIONS, strict=True):
        for value, sampled in [
            (row.second_moment, activation.function(z) ** 2),
            (row.derivative_rms**2, activation.derivative(z) ** 2),
        ]:
            error = 5 * sampled.std() / math.sqrt(len(z)) + 1e-12
            assert abs(value - sampled.mean()) < error, activation.name


def test_a_function_of_the_users_own_gets_the_row_of_the_known_one() -> None:
    own, known = row_for("mine", np.tanh), row_for_known("tanh")
    assert known is not None
    for name in ("derivative_rms", "derivative_max", "second_moment", "critical_weight_std", "slope", "depth_scale"):
        assert getattr(own, name) == pytest.approx(getattr(known, name), rel=1e-6), name


def test_the_greatest_slope_of_a_function_is_found_where_it_lies_at_0() -> None:
    assert row_for("mine", np.tanh).derivative_max == pytest.approx(1.0, rel=1e-8)


def test_a_function_that_is_not_finite_is_told() -> None:
    with (
        np.errstate(divide="ignore", invalid="ignore"),
        pytest.raises(ValueError, match="mine is not finite everywhere"),
    ):
        row_for("mine", lambda x: 1 / (x - x))


@pytest.mark.parametrize(
    "name",
    always(["tanh", "elu", "selu", "gelu", "silu", "hardswish", "tanhshrink", "sigmoid"], "tanh", "selu", "sigmoid"),
)
def test_a_variance_comes_back_exactly_where_the_row_says_so(name: str) -> None:
    """The map itself, step by step, from 5 % to either side of the critical variance."""
    row, phi = row_for_known(name), find(name)
    assert row is not None and phi is not None
    for side in (0.95, 1.05):
        variance = start = side * row.critical_variance
        for _ in range(20):
            variance = variance_map(phi, variance, row.critical_weight_std, row.critical_bias_std)
        nearer = abs(variance - row.critical_variance) < abs(start - row.critical_variance)
        assert nearer == (row.variance_slope < 1), name
    assert (row.from_above == pytest.approx(row.critical_variance)) == (row.variance_slope < 1)


@pytest.mark.parametrize("name", ["sigmoid", "hardsigmoid"])
def test_where_no_bias_holds_1_the_critical_point_is_one_that_a_net_settles_on(name: str) -> None:
    row, phi = row_for_known(name), find(name)
    assert row is not None and phi is not None
    settled = fixed_point(phi, row.critical_weight_std, 0.0)
    assert settled == pytest.approx(row.critical_variance, rel=1e-6)
    assert chi(phi, settled, row.critical_weight_std) == pytest.approx(1.0, rel=1e-6)


def test_the_slope_at_torchs_default_is_what_a_deep_net_measures() -> None:
    """A tanh net of torch's default layers without bias: decades of the gradient a layer, once the variance has settled."""
    row = row_for_known("tanh")
    assert row is not None
    torch.manual_seed(0)
    layers = [torch.nn.Linear(1024, 1024, bias=False) for _ in range(24)]
    points = [torch.randn(8, 1024)]
    for layer in layers:
        points.append(layer(torch.tanh(points[-1])))
    early, late = torch.autograd.grad(points[-1].sum(), [points[8], points[20]])
    measured = (early.norm().log10() - late.norm().log10()).item() / 12
    assert 0.5 * math.log10(row.slope) == pytest.approx(measured, abs=0.01)


def torch_slopes(name: str, x: np.ndarray) -> np.ndarray:
    """Torch's derivative of a function at some points, in float64."""
    given = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(torch_function(name)(given).sum(), given)[0].numpy()


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
def test_the_kinks_are_where_torchs_slope_or_curvature_jumps(activation: Activation) -> None:
    """Every bend of these functions lies at a multiple of a half."""
    places, step = np.arange(-24, 25) / 2, 1e-4
    near, far = [(torch_slopes(activation.name, places - k * step), torch_slopes(activation.name, places + k * step))
                 for k in (1, 2)]  # fmt: skip
    slopes = np.abs(near[1] - near[0]) > 1e-2
    curvatures = np.abs((far[1] - near[1]) - (near[0] - far[0])) / step > 1e-2
    assert activation.kinks == tuple(places[slopes | curvatures])


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
def test_the_slope_at_a_kink_is_the_one_torch_takes(activation: Activation) -> None:
    kinks = np.array([*activation.kinks, 0.0])
    np.testing.assert_allclose(activation.derivative(kinks), torch_slopes(activation.name, kinks), atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
def test_the_value_at_a_kink_is_torchs(activation: Activation) -> None:
    kinks = np.array([*activation.kinks, 0.0])
    expected = torch_function(activation.name)(torch.tensor(kinks)).numpy()
    np.testing.assert_allclose(activation.function(kinks), expected, atol=1e-12)


def test_a_names_other_spellings_are_the_same_activation() -> None:
    for word, name in [
        ("identity", "linear"),
        ("expit", "sigmoid"),
        ("LogSigmoid", "logsigmoid"),
        ("__tanh__", "tanh"),
    ]:
        assert find(word) is find(name) is not None


def test_the_row_of_relu_is_he_in_closed_form() -> None:
    """He et al. 2015: E[relu(z)²] = E[relu′(z)²] = 1/2; at torch's default variance of 1/3 the slope is 1/6."""
    row = row_for_known("relu")
    assert row is not None and row_for_known("unknown") is None
    assert (row.derivative_rms, row.second_moment) == pytest.approx((math.sqrt(0.5), 0.5), rel=1e-9)
    assert (row.critical_weight_std, row.critical_bias_std) == pytest.approx((math.sqrt(2), 0.0), abs=1e-4)
    assert (row.critical_variance, row.variance_slope) == pytest.approx((1.0, 1.0), rel=1e-6)
    assert (row.from_below, row.from_above) == pytest.approx((0.9, 1.1))
    assert (row.slope, row.depth_scale) == pytest.approx((1 / 6, 1 / math.log(6)), rel=1e-9)


def test_a_function_without_a_slope_has_no_scale_that_hands_a_gradient_on() -> None:
    row = row_for("flat", np.zeros_like)
    assert row.derivative_rms == row.derivative_max == row.slope == row.depth_scale == 0.0
    assert math.isnan(row.critical_weight_std) and math.isnan(row.critical_variance) and math.isnan(row.from_above)
