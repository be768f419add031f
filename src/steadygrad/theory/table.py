"""The rows of ``steadygrad activations``: what theory says of each activation, known or the user's own.

Numbers only; drawing them is the command line's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steadygrad.theory.activations import ACTIVATIONS, Activation, Array, find
from steadygrad.theory.meanfield import (
    MARGINAL,
    chi,
    critical_point,
    critical_variance,
    depth_scale,
    derivative_rms,
    fixed_point,
    second_moment,
    variance_slope,
)


@dataclass(frozen=True)
class Row:
    """One activation: its moments under N(0, 1), its critical point, and where a net at torch's default scale is."""

    name: str
    derivative_rms: float
    """√E[φ′(z)²], z ~ N(0, 1)."""
    derivative_max: float
    second_moment: float
    """E[φ(z)²]."""
    critical_weight_std: float
    """σ_w at which the gradient neither shrinks nor grows at the critical variance; NaN where there is none."""
    critical_bias_std: float
    """σ_b that holds the variance there."""
    critical_variance: float
    """1 where a real σ_b holds the variance at 1; else the fixed point at σ_b = 0."""
    variance_slope: float
    """Q′ there: below 1 the variance comes back, above 1 it leaves."""
    from_below: float
    """Variance on which the map settles from 0.9 of the critical one: 0 = it dies, inf = it grows without bound."""
    from_above: float
    """The same from 1.1 of it."""
    slope: float
    """C′(1) = χ₁ at torch's default scale, σ_w² = 1/3 (Kaiming uniform with a = √5), and the variance it settles on from 1."""
    depth_scale: float
    """Layers over which that slope shrinks a difference e-fold."""


DEFAULT_WEIGHT_STD = math.sqrt(1.0 / 3.0)
"""torch's default for ``nn.Linear``: uniform on ±1/√fan-in, so fan-in × variance = 1/3."""


_NEARLY_NONE = 1e-8
"""A variance at which an activation is as straight as it is at 0, and has both sides of its kink."""


def rows() -> tuple[Row, ...]:
    """A row for every known activation."""
    return tuple(_row(activation) for activation in ACTIVATIONS)


def row_for_known(name: str) -> Row | None:
    """The row of an activation by torch's name; None for an unknown one."""
    activation = find(name)
    return None if activation is None else _row(activation)


def row_for(name: str, function: Callable[[Array], Array]) -> Row:
    """The row of the user's own elementwise function of an array. Raises ``ValueError`` where it is not finite."""
    step = 1e-5

    def derivative(x: Array) -> Array:
        return (np.asarray(function(x + step)) - np.asarray(function(x - step))) / (2 * step)

    slopes = np.abs(derivative(np.linspace(-12, 12, 48_001)))
    if not np.isfinite(slopes).all():
        raise ValueError(f"{name} is not finite everywhere between -12 and 12")
    return _row(Activation(name, lambda x: np.asarray(function(x), dtype=float), derivative, float(slopes.max())))


@functools.lru_cache(maxsize=256)
def _row(activation: Activation) -> Row:
    weight_std, bias_std, variance = _critical(activation)
    known = math.isfinite(weight_std)
    steepness = variance_slope(activation, variance, weight_std) if known else math.nan
    settled = max(fixed_point(activation, DEFAULT_WEIGHT_STD), _NEARLY_NONE)
    slope = chi(activation, settled, DEFAULT_WEIGHT_STD)
    return Row(
        name=activation.name,
        derivative_rms=derivative_rms(activation),
        derivative_max=activation.greatest_derivative,
        second_moment=second_moment(activation),
        critical_weight_std=weight_std,
        critical_bias_std=bias_std,
        critical_variance=variance,
        variance_slope=steepness,
        from_below=_ends(activation, weight_std, bias_std, variance, steepness, 0.9),
        from_above=_ends(activation, weight_std, bias_std, variance, steepness, 1.1),
        slope=slope,
        depth_scale=depth_scale(slope),
    )


def _critical(activation: Activation) -> tuple[float, float, float]:
    """(σ_w, σ_b, q*) at q* = 1, or at σ_b = 0 where no real σ_b holds the variance at 1; NaN where the line ends before."""
    weight_std, bias_std = critical_point(activation, 1.0)
    if bias_std is not None:
        return weight_std, bias_std, 1.0
    variance = critical_variance(activation, 0.0)
    if variance is None:
        return math.nan, math.nan, math.nan
    return 1.0 / derivative_rms(activation, variance), 0.0, variance


def _ends(
    activation: Activation, weight_std: float, bias_std: float, variance: float, steepness: float, start: float
) -> float:
    """Return where the variance settles from ``start`` times the critical one."""
    if math.isnan(steepness):
        return math.nan
    if abs(steepness - 1.0) < MARGINAL:
        return start * variance
    if steepness < 1.0:
        return variance
    return fixed_point(activation, weight_std, bias_std, start * variance)
