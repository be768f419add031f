"""Whether parameters still are as constructors and initialisers leave them, or have been trained before.

Knows norms and shapes alone. Training moves the variance of a matrix by far more than chance does, and gains off 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.record import Parameter

# Elements from which the mean square of a matrix tells its variance: its standard error is √(2 ÷ elements) of it, 0.18 here.
ENOUGH = 64
ERRORS = 4.0
"""Standard errors by which chance may be off."""
EXACT = 1e-4
"""Relative difference up to which a norm is that of nothing but ones."""


def as_made(parameters: Iterable[Parameter]) -> bool:
    """Whether every parameter that can show it looks untrained, and at least one can."""
    shown = [known for parameter in parameters if (known := _untrained(parameter)) is not None]
    return bool(shown) and all(shown)


def _untrained(parameter: Parameter) -> bool | None:
    shape, elements = parameter.shape, math.prod(parameter.shape)
    if len(shape) == 1 and parameter.name.endswith("weight"):
        return abs(parameter.norm - math.sqrt(elements)) <= EXACT * math.sqrt(elements)
    if len(shape) < 2 or elements < ENOUGH:
        return None
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    variance = parameter.norm**2 / elements
    # torch's own layers, LeCun and orthogonal, He, Glorot; an embedding's N(0, 1).
    known = [gain / fan_in for gain in (1 / 3, 1.0, 2.0)] + [2.0 / (fan_in + fan_out), 1.0]
    return any(abs(variance / one - 1) <= ERRORS * math.sqrt(2 / elements) for one in known)
