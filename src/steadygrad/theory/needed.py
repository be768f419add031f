"""The scale of the weights that an activation needs: the critical one at a point where a net stays.

At a critical point χ₁ = 1: the gradient neither shrinks nor grows. Where the variance map is unstable there (Q′ > 1), the
net leaves the point within some tens of layers, so the scale is not the one that it needs. Numbers only; no torch.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from steadygrad.theory.activations import Activation, find
from steadygrad.theory.meanfield import (
    MARGINAL,
    critical_point,
    critical_variance,
    derivative_rms,
    fixed_point,
    variance_slope,
)

_VARIANCES = np.logspace(0.0, 2.0, 21)
"""Variances from N(0, 1) on upwards at which a critical point is looked for."""

_GREAT = 1e6
"""A variance at which an activation is as straight on both sides as it gets."""

_UNDER = 0.9
"""Share of the greatest weight variance at which a variance that settles has settled."""


@functools.lru_cache(maxsize=256)
def needed_weight_variance(name: str) -> float | None:
    """σ_w² at which an activation hands the gradient on unshrunk, layer after layer.

    A squashing activation works at the end of its critical line at σ_b = 0 (Schoenholz et al. 2017). Any other works at its
    stable critical point that is nearest to N(0, 1) from above: at N(0, 1) itself for ReLU (σ_w² = 2, He et al. 2015), at
    a variance of 4 for GELU (1.98). Where no point is stable, as for softplus, it is the greatest σ_w² under which the
    variance settles at all.

    Args:
        name: torch's name of the function or of the module's class.

    Returns:
        None for an unknown activation, and for one under which every variance dies or grows without bound.

    Example:
        >>> round(needed_weight_variance("relu"), 6), round(needed_weight_variance("tanh"), 6)
        (2.0, 1.0)
        >>> needed_weight_variance("tanhshrink") is None
        True
    """
    activation = find(name)
    if activation is None:
        return None
    return _squashing(activation) if activation.squashing else _stable(activation)


def _squashing(activation: Activation) -> float:
    """At the end of the critical line: q* = 0 where φ(0) = 0, else the fixed point that the map keeps without a bias."""
    at_zero = float(activation.function(np.zeros(1))[0]) == 0.0
    variance = 0.0 if at_zero else critical_variance(activation, 0.0)
    assert variance is not None, f"{activation.name} has no critical point without a bias"
    return float(1.0 / derivative_rms(activation, variance) ** 2)


def _stable(activation: Activation) -> float | None:
    for variance in _VARIANCES:
        weight_std, bias_std = critical_point(activation, float(variance))
        if bias_std is not None and variance_slope(activation, float(variance), weight_std) <= 1.0 + MARGINAL:
            return weight_std**2
    greatest = 1.0 / derivative_rms(activation, _GREAT) ** 2
    return greatest if 0.0 < fixed_point(activation, math.sqrt(_UNDER * greatest)) < math.inf else None
