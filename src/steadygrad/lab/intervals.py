"""Readings from samples: a number with its 95 % interval, and the range that the claim needs.

Student's t for a mean, Wilson's interval for a share. Sequences of floats in; no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steadygrad.lab.outcome import Reading

CONFIDENCE = 0.95


def mean_reading(
    what: str, samples: Sequence[float], *, unit: str = "", least: float = -math.inf, greatest: float = math.inf
) -> Reading:
    """The mean of independent samples with Student's t interval. Raises ``ValueError`` for fewer than two, or for NaN."""
    value, half = mean_interval(samples)
    return Reading(what, value, value - half, value + half, unit, least, greatest)


def share_reading(
    what: str, hits: int, count: int, *, unit: str = "", least: float = -math.inf, greatest: float = math.inf
) -> Reading:
    """The share of ``count`` independent trials that hit, with Wilson's interval. Raises ``ValueError`` without a trial."""
    low, high = share_interval(hits, count)
    return Reading(what, hits / count, low, high, unit, least, greatest)


def value_reading(
    what: str, value: float, *, unit: str = "", least: float = -math.inf, greatest: float = math.inf
) -> Reading:
    """A number without chance in it: its interval is the number itself."""
    return Reading(what, value, value, value, unit, least, greatest)


def mean_interval(samples: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its interval."""
    array = np.asarray(samples, dtype=float)
    if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"a mean needs two or more finite samples in a row; got {array.size} of shape {array.shape}")
    from scipy import special  # Slow to import, and listing experiments needs no interval.

    t = float(special.stdtrit(len(array) - 1, 0.5 + CONFIDENCE / 2))
    return float(array.mean()), t * float(array.std(ddof=1)) / math.sqrt(len(array))


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson 1927: the shares that ``hits`` of ``count`` do not speak against; holds also at 0 and at ``count``."""
    if not 0 <= hits <= count or count < 1:
        raise ValueError(f"{hits} of {count} is no share")
    from scipy import special  # As above.

    z = float(special.ndtri(0.5 + CONFIDENCE / 2))
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
