"""A clip as data: which one, with its numbers; from and to the text that a command line takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from steadygrad.clip import bounds
from steadygrad.clip.bounds import BoundsError, short
from steadygrad.clip.quantile import QuantileState
from steadygrad.clip.zscore import ZScoreState
from steadygrad.written import nearest

KINDS = {
    "value": ("value:-1,1", 2, 2),
    "norm": ("norm:1 or norm:1,inf", 1, 2),
    "per-parameter": ("per-parameter:1", 1, 1),
    "adaptive": ("adaptive:0.01", 1, 1),
    "quantile": ("quantile:0.9", 1, 1),
    "zscore": ("zscore:2.5", 1, 1),
}
"""The spelling of each, and its least and greatest count of numbers; without any it has its defaults."""

_CHECKS: dict[str, tuple[str, Callable[[str, object], float]]] = {
    "norm": ("max_norm", bounds.at_least_zero),
    "per-parameter": ("max_norm", bounds.at_least_zero),
    "adaptive": ("ratio", bounds.above_zero),
    "quantile": ("share", bounds.share),
    "zscore": ("z", bounds.above_zero),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with its numbers.

    Make one by ``Clip.value(-1, 1)``, ``.norm(1.0)``, ``.per_parameter(1.0)``, ``.adaptive(0.01)``, ``.quantile(0.9)`` or
    ``.zscore(2.5)``. ``Clip.parse`` reads the text that ``str`` gives. Raises ``BoundsError``, a ``SettingsError`` and
    ``ValueError``, for numbers out of range.
    """

    kind: str
    low: float
    """The lower bound of ``value``; 0 in all others."""
    high: float
    """The upper bound of ``value``; of the others the greatest norm, ratio, share or score."""
    norm_type: float = 2.0
    """Of ``norm``: 2, or infinity for the greatest element."""

    def __post_init__(self) -> None:
        """Raise ``BoundsError`` for an unknown kind, or a number out of range."""
        if self.kind not in KINDS:
            raise BoundsError(_unknown(str(self.kind)))
        if self.kind == "value":
            low, high = bounds.interval(self.low, self.high)
        else:
            name, check = _CHECKS[self.kind]
            low, high = bounds.number("low", self.low), check(name, self.high)
        norm_type = bounds.order(self.norm_type)
        for name, value in (("low", low), ("high", high), ("norm_type", norm_type)):
            object.__setattr__(self, name, value)

    @classmethod
    def value(cls, low: float = -1.0, high: float = 1.0) -> Self:
        """Clamp each element to [low, high]: ``clip_value_``."""
        return cls("value", low, high)

    @classmethod
    def norm(cls, max_norm: float = 1.0, norm_type: float = 2.0) -> Self:
        """Scale all gradients to a total norm of at most ``max_norm``: ``clip_norm_``."""
        return cls("norm", 0.0, max_norm, norm_type)

    @classmethod
    def per_parameter(cls, max_norm: float = 1.0) -> Self:
        """Scale each gradient to a norm of at most ``max_norm``: ``clip_per_parameter_``."""
        return cls("per-parameter", 0.0, max_norm)

    @classmethod
    def adaptive(cls, ratio: float = 0.01) -> Self:
        """Bound each unit's gradient by ``ratio`` times its weights' norm: ``clip_adaptive_``."""
        return cls("adaptive", 0.0, ratio)

    @classmethod
    def quantile(cls, share: float = 0.9) -> Self:
        """Scale to a quantile of the norms seen so far: ``clip_quantile_``."""
        return cls("quantile", 0.0, share)

    @classmethod
    def zscore(cls, z: float = 2.5) -> Self:
        """Scale a norm that lies ``z`` deviations above the running mean: ``clip_zscore_``."""
        return cls("zscore", 0.0, z)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a clip from text; a kind alone has its defaults. Raises ``BoundsError``, which names the nearest kind.

        ``value:-1,1``, ``norm:1.0``, ``norm:1.0,inf``, ``per-parameter:1``, ``adaptive:0.01``, ``quantile:0.9``, ``zscore:2.5``.
        """
        name, _, rest = text.partition(":")
        kind = name.strip().lower().replace("_", "-")
        if kind not in KINDS:
            raise BoundsError(_unknown(name.strip()))
        make: Callable[..., Self] = getattr(cls, kind.replace("-", "_"))
        if not rest.strip():
            return make()
        numbers = [_number(part, text, kind) for part in rest.split(",")]
        written, least, most = KINDS[kind]
        if not least <= len(numbers) <= most:
            expected = f"{least}" if least == most else f"{least} or {most}"
            raise BoundsError(
                f"clip {text!r} has {len(numbers)} number{'s'[: len(numbers) != 1]}, expected {expected}: {written}"
            )
        try:
            return make(*numbers)
        except BoundsError as error:
            raise BoundsError(f"clip {text!r}: {error}") from None

    def state(self) -> QuantileState | ZScoreState | None:
        """Return the state from step to step, at its beginning; None for a clip that remembers nothing."""
        if self.kind == "quantile":
            return QuantileState(self.high)
        return ZScoreState(self.high) if self.kind == "zscore" else None

    def __str__(self) -> str:
        """Return the text that ``parse`` takes: ``norm:1``."""
        numbers = [self.low, self.high] if self.kind == "value" else [self.high]
        if self.norm_type != 2.0:
            numbers.append(self.norm_type)
        return f"{self.kind}:{','.join(short(number) for number in numbers)}"


def _unknown(kind: str) -> str:
    near = nearest(kind, KINDS)
    hint = f"did you mean {KINDS[near][0]}?" if near else f"expected one of {', '.join(KINDS)}, such as norm:1"
    return f"unknown clip {kind!r}; {hint}"


def _number(part: str, text: str, kind: str) -> float:
    try:
        found = float(part)
    except ValueError:
        found = math.nan
    if math.isnan(found):
        raise BoundsError(f"clip {text!r}: {part.strip()!r} is not a number, expected {KINDS[kind][0]}")
    return found
