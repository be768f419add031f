"""The numbers that a clip can have, and what is said of those it cannot. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from steadygrad.errors import SettingsError


class BoundsError(SettingsError, ValueError):
    """A clip was given a number that it cannot have; nothing was clipped."""


def interval(low: Any, high: Any) -> tuple[float, float]:
    """Two numbers, low ≤ high; infinite ones leave that side open."""
    low, high = number("low", low), number("high", high)
    if not low <= high:
        raise BoundsError(f"the interval is [{short(low)}, {short(high)}], expected low ≤ high")
    return low, high


def at_least_zero(name: str, value: Any) -> float:
    """Return ``value`` as a float of 0 or more, or raise ``BoundsError``."""
    found = number(name, value)
    if found < 0:
        raise BoundsError(f"{name} is {short(found)}, expected 0 or more")
    return found


def above_zero(name: str, value: Any) -> float:
    """Return ``value`` as a finite float above 0, or raise ``BoundsError``."""
    found = number(name, value)
    if not 0 < found < math.inf:
        raise BoundsError(f"{name} is {short(found)}, expected a number above 0")
    return found


def share(name: str, value: Any) -> float:
    """Return ``value`` as a float in [0, 1], or raise ``BoundsError``."""
    found = number(name, value)
    if not 0 <= found <= 1:
        raise BoundsError(f"{name} is {short(found)}, expected 0 to 1")
    return found


def order(value: Any) -> float:
    """Check the order of a norm: 2 or infinity, also as the text "inf"."""
    norm_type = float(value) if value == "inf" else number("norm_type", value)
    if norm_type not in (2.0, math.inf):
        raise BoundsError(f"norm_type is {short(norm_type)}, expected 2 or inf")
    return norm_type


def count(name: str, value: Any) -> int:
    """Return ``value`` as a whole number of 1 or more, or raise ``BoundsError``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BoundsError(f"{name} is {value!r}, expected a whole number, 1 or more")
    return value


def number(name: str, value: Any) -> float:
    """``value`` as a float. NaN bounds nothing, and so is refused."""
    try:
        if isinstance(value, (str, bytes, bool)):
            raise TypeError
        found = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise BoundsError(f"{name} is {value!r}, expected a number") from None
    if math.isnan(found):
        raise BoundsError(f"{name} is NaN, expected a number")
    return found


def short(value: float) -> str:
    """The shortest text that reads back as the same number: 1, 0.01, inf."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(value)


def entry(state: Any, key: str, kind: type | tuple[type, ...]) -> Any:
    """``state[key]``, where it is of that kind."""
    if not isinstance(state, Mapping) or key not in state:
        raise BoundsError(f"the clip's state has no {key!r}, expected what state_dict() gave")
    if not isinstance(state[key], kind) or isinstance(state[key], bool):
        raise BoundsError(f"the clip's state has {state[key]!r} for {key!r}, expected what state_dict() gave")
    return state[key]
