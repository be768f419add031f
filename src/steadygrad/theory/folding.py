"""The place on an activation where a plain net of any depth can work: scale and shift of the pre-activation, by depth.

Let u = α z + β, z ~ N(0, 1), and let m, v be mean and variance of φ(u). Behind the activation the layer is centred and
scaled to unit variance again, so two samples' correlation c moves by a map C with slope C′(1) = α² E[φ′(u)²] ÷ v at
c = 1. After L layers the slope is C′(1)^L: far above 1 the net is chaotic, at 1 it is linear. α and β are chosen so
that it is ``ZETA``, as in deep kernel shaping (Martens et al. 2021, arXiv:2110.01765, section 7) and tailored
activations (Zhang et al. 2022, arXiv:2203.08120), and so that an error of the variance does not grow (Q′(1) ≤ 1).
There the activation is changed; here the same α and β go into weights and biases. Floats in, floats out; no torch.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from steadygrad.theory.activations import Activation, Array

ZETA = 1.5
"""Slope of the whole net's correlation map at c = 1; Zhang et al. 2022 use 1.5 for networks without skips."""

GREATEST_SCALE = 1.0
"""α never exceeds that of a standardised pre-activation."""

SHIFTS = np.arange(0.0, 6.01, 0.25)
"""Shifts β that are tried, with both signs, nearest to 0 first."""

HEALS = 1.0 + 1e-6


@dataclass(frozen=True)
class Folding:
    """Scale and shift of the pre-activations, and what they lead to."""

    scale: float
    """α: standard deviation of every pre-activation."""
    shift: float
    """β: mean of every pre-activation."""
    output_mean: float
    output_std: float
    slope: float
    """C′(1) of one layer; its power to the depth is ``ZETA``."""
    variance_slope: float
    """Q′(1): the factor on a relative error of the variance, layer by layer."""


def fold(phi: Activation, depth: int, zeta: float = ZETA) -> Folding | None:
    """The working point of ``phi`` in a plain net of ``depth`` layers; None where there is none.

    Of all shifts that heal, the one with the greatest scale (and curvature used) is taken, of equals the least. Raises
    ``ValueError`` for a depth below 1 or ζ ≤ 1.
    """
    if depth < 1 or not zeta > 1:
        raise ValueError(f"depth {depth}, zeta {zeta}: expected a depth of 1 or more and zeta above 1")
    return _fold(phi, zeta ** (1.0 / depth))


@functools.lru_cache(maxsize=512)
def _fold(phi: Activation, target: float) -> Folding | None:
    best: Folding | None = None
    greatest = 0.0
    for size in SHIFTS:
        for shift in sorted({size, -size}):
            found = _at(phi, float(shift), target)
            if found is None or found.variance_slope > HEALS:
                continue
            # By the curvature that is used, too: a shift far out on a straight piece uses none.
            worth = found.scale * math.sqrt(max(0.0, found.slope - 1.0))
            if best is None or worth > 1.02 * greatest:
                best, greatest = found, worth
    return best


def _at(phi: Activation, shift: float, target: float) -> Folding | None:
    """The greatest scale at this shift whose slope is the target, found by bisection in log scale."""
    from scipy import optimize  # Slow to import, and most commands never solve anything.

    def excess(log_scale: float) -> float:
        return moments(phi, math.exp(log_scale), shift).slope - target

    grid = np.linspace(math.log(GREATEST_SCALE), math.log(1e-3), 40)
    values = [excess(point) for point in grid]
    if abs(values[0]) < 1e-9:
        return moments(phi, GREATEST_SCALE, shift)
    for (high, f_high), (low, f_low) in pairwise(zip(grid, values, strict=True)):
        if math.isfinite(f_high) and math.isfinite(f_low) and f_high * f_low <= 0:
            return moments(phi, math.exp(optimize.brentq(excess, low, high, xtol=1e-12)), shift)
    # At its greatest scale the activation is not even as curved as asked for: that scale is safe.
    return moments(phi, GREATEST_SCALE, shift) if 1.0 <= values[0] + target < target else None


def moments(phi: Activation, scale: float, shift: float) -> Folding:
    """The moments that u = scale · z + shift, z ~ N(0, 1), leads to; the slope is NaN where φ(u) does not vary."""
    kinks = sorted((kink - shift) / scale for kink in phi.kinks)
    nodes, weights = _gaussian_nodes(tuple(kinks))
    inputs = scale * nodes + shift
    values, slopes = phi.function(inputs), phi.derivative(inputs)
    mean = float(weights @ values)
    centred = values - mean
    variance = float(weights @ centred**2)
    if variance <= 0.0:
        return Folding(scale, shift, mean, 0.0, math.nan, math.nan)
    return Folding(
        scale=scale,
        shift=shift,
        output_mean=mean,
        output_std=math.sqrt(variance),
        slope=scale**2 * float(weights @ slopes**2) / variance,
        variance_slope=scale * float(weights @ (centred * slopes * nodes)) / variance,
    )


_RULE = np.polynomial.legendre.leggauss(24)


def _gaussian_nodes(kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Nodes and weights of E[f(z)], z ~ N(0, 1): Gauss-Legendre on pieces of ±10 standard deviations cut at the kinks."""
    cuts = np.unique([*np.linspace(-10, 10, 17), *(kink for kink in kinks if abs(kink) < 10)])
    half, middle = np.diff(cuts)[:, None] / 2, (cuts[1:] + cuts[:-1])[:, None] / 2
    nodes = (middle + half * _RULE[0]).ravel()
    weights = (half * _RULE[1]).ravel() * np.exp(-0.5 * nodes**2) / math.sqrt(2 * math.pi)
    return nodes, weights
