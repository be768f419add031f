"""Mean-field theory of wide random nets: how variance, correlation and gradient change from layer to layer.

A layer is h ← W φ(h) + b with Var(W_ij) = σ_w² ÷ fan-in and Var(b_i) = σ_b². Everything is an expectation over
Gaussians, by adaptive quadrature split at the kinks. Floats in, floats out; no torch. Sources: Poole et al. 2016
(arXiv:1606.05340), Schoenholz et al. 2017 (arXiv:1611.01232).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy import special

from steadygrad.theory.activations import Activation, Array

TAIL = 12.0
"""Standard deviations of the Gaussian that quadrature covers: what is left out weighs less than 1e-32."""

MARGINAL = 1e-6
"""Q′ nearer to 1 than this is 1: a positively homogeneous activation holds any variance."""


def gaussian_mean(function: Callable[[Array], Array], variance: float = 1.0, kinks: Sequence[float] = ()) -> float:
    """E[f(z)], z ~ N(0, variance). Raises ``ValueError`` for a negative variance or an f that is not finite."""
    if not variance >= 0:
        raise ValueError(f"the variance is {variance}, expected 0 or more")
    if variance == 0:
        return _finite(float(function(np.zeros(1))[0]))
    deviation = math.sqrt(variance)
    cuts = sorted({-TAIL, 0.0, TAIL, *(k / deviation for k in kinks if abs(k) < TAIL * deviation)})

    def weighted(z: float) -> float:
        density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        return float(function(np.array([deviation * z]))[0]) * density

    from scipy import integrate  # Slow to import, and most commands never integrate.

    total = 0.0
    for low, high in pairwise(cuts):
        value, _ = integrate.quad(weighted, low, high, epsabs=1e-13, epsrel=1e-11, limit=200)
        total += value
    return _finite(total)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("the activation is not finite under a Gaussian of this variance")
    return value


def second_moment(phi: Activation, variance: float = 1.0) -> float:
    """E[φ(√q z)²], z ~ N(0, 1)."""
    return gaussian_mean(lambda x: phi.function(x) ** 2, variance, phi.kinks)


def derivative_rms(phi: Activation, variance: float = 1.0) -> float:
    """√E[φ′(√q z)²]: the factor on a gradient's norm that the activation takes in a wide layer."""
    return math.sqrt(gaussian_mean(lambda x: phi.derivative(x) ** 2, variance, phi.kinks))


def variance_map(phi: Activation, variance: float, weight_std: float, bias_std: float = 0.0) -> float:
    """Variance of the next pre-activation: σ_w² E[φ(√q z)²] + σ_b² (Poole et al. 2016, eq. 3)."""
    return weight_std**2 * second_moment(phi, variance) + bias_std**2


def variance_slope(phi: Activation, variance: float, weight_std: float) -> float:
    """Q′ at ``variance``: a deviation of the variance shrinks from layer to layer below 1, and grows above 1.

    By Stein's lemma dE[φ²(√q z)] ÷ dq = E[φ²(√q z) (z² − 1)] ÷ 2q, so φ″ is not needed.
    """
    weighted = gaussian_mean(lambda x: phi.function(x) ** 2 * (x * x / variance - 1.0), variance, phi.kinks)
    return weight_std**2 * weighted / (2.0 * variance)


def fixed_point(phi: Activation, weight_std: float, bias_std: float = 0.0, start: float = 1.0) -> float:
    """The variance q* that the map settles on from ``start``; inf where it grows without bound, 0 where it dies."""
    variance = start
    for _ in range(10_000):
        following = variance_map(phi, variance, weight_std, bias_std)
        if following > 1e12:
            return math.inf
        if following < 1e-12:
            return 0.0
        if abs(following - variance) <= 1e-10 * variance:
            return following
        variance = following
    return variance


def chi(phi: Activation, variance: float, weight_std: float) -> float:
    """χ₁ = σ_w² E[φ′(√q z)²]: slope of the correlation map at 1, and the gain of the squared gradient in one layer.

    Below 1 gradients vanish and samples merge, above 1 they explode and samples part (Poole et al. 2016, eq. 8).
    """
    return weight_std**2 * derivative_rms(phi, variance) ** 2


def depth_scale(slope: float) -> float:
    """Layers over which a deviation shrinks (or grows) e-fold: ξ = 1 ÷ |ln χ| (Schoenholz et al. 2017, eq. 9); inf at χ = 1."""
    if slope <= 0:
        return 0.0
    return math.inf if abs(math.log(slope)) < 1e-9 else 1.0 / abs(math.log(slope))


def critical_point(phi: Activation, variance: float) -> tuple[float, float | None]:
    """(σ_w, σ_b) at which χ₁ = 1 with fixed point q* = ``variance``; σ_b is None where no real bias holds it there."""
    rms = derivative_rms(phi, variance)
    if rms == 0.0:
        return math.inf, None
    weight_std = 1.0 / rms
    bias_variance = variance - weight_std**2 * second_moment(phi, variance)
    if bias_variance < -1e-9 * variance:
        return weight_std, None
    return weight_std, math.sqrt(max(0.0, bias_variance))


def critical_weight_std(phi: Activation, bias_std: float) -> float | None:
    """σ_w on the critical line at this σ_b (Schoenholz et al. 2017, fig. 1); None where the line does not reach it."""
    variance = critical_variance(phi, bias_std)
    return None if variance is None else 1.0 / derivative_rms(phi, variance)


def critical_variance(phi: Activation, bias_std: float) -> float | None:
    """The fixed point q* on the critical line at this σ_b; None where the line does not reach it."""
    from scipy import optimize  # As above.

    def excess(log_variance: float) -> float:
        variance = 10.0**log_variance
        rms = derivative_rms(phi, variance)
        if rms == 0.0:
            return math.nan
        return float(variance - second_moment(phi, variance) / rms**2 - bias_std**2)

    grid = np.linspace(-8, 3, 45)
    values = [excess(point) for point in grid]
    for (a, fa), (b, fb) in pairwise(zip(grid, values, strict=True)):
        if fa == 0 or fa * fb < 0:
            root = optimize.brentq(excess, a, b, xtol=1e-10) if fa != 0 else a
            return float(10.0**root)
    return None


def expected_decades(
    phi: Activation, depth: int, weight_std: float, bias_std: float = 0.0, start: float = 1.0
) -> float:
    """log10 gain of the gradient's norm through ``depth`` layers, the variance following its map from ``start``."""
    if depth < 0:
        raise ValueError(f"the depth is {depth}, expected 0 or more")
    total, variance = 0.0, start
    for _ in range(depth):
        gain = chi(phi, variance, weight_std)
        if gain == 0.0:
            return -math.inf
        total += 0.5 * math.log10(gain)
        following = variance_map(phi, variance, weight_std, bias_std)
        if not 1e-300 < following < 1e300:
            return math.copysign(math.inf, total)
        variance = following
    return total


def probability_outside(count: int, mean: float, deviation: float, low: float, high: float) -> float:
    """Probability that a product of ``count`` independent factors leaves [10^low, 10^high].

    ``mean`` and ``deviation`` are those of log10 of one factor; the log of the product is normal by the central limit
    theorem (exactly, for log-normal factors). Tends to 1 with ``count`` unless both are 0. Raises ``ValueError`` for an
    empty interval or a negative count or deviation.
    """
    if count < 0 or deviation < 0 or low > high:
        raise ValueError(
            f"count {count}, deviation {deviation}, interval [{low}, {high}]: expected count and deviation of 0 or more, "
            "and low ≤ high"
        )
    centre, width = count * mean, math.sqrt(count) * deviation
    if width == 0.0:
        return 0.0 if low <= centre <= high else 1.0
    inside = special.ndtr((high - centre) / width) - special.ndtr((low - centre) / width)
    return float(1.0 - inside)
