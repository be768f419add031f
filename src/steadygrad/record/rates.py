"""The rates that a search for a learning rate tried, and the one it chose. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from steadygrad.numerals import percent


@dataclass(frozen=True, slots=True)
class RateTried:
    """Steps at one rate from the common start."""

    rate: float
    losses: tuple[float, ...]
    """Before the first step and after each; shorter where the rate was dropped."""
    dropped: bool
    """Whether the loss stopped being finite, or rose beyond hope."""

    @property
    def fall(self) -> float:
        """Relative fall of the loss after the last step; minus infinity for a dropped rate."""
        first, last = self.losses[0], self.losses[-1]
        if self.dropped or not math.isfinite(last):
            return -math.inf
        return (first - last) / (abs(first) or 1.0)


@dataclass(frozen=True)
class RateSearchRecord:
    """The rates that were tried, in order, and the one that was chosen."""

    tried: tuple[RateTried, ...]
    steps: int
    rate: float | None
    """None where no rate made the loss fall."""
    words: str

    @classmethod
    def chosen(cls, tried: tuple[RateTried, ...], steps: int, enough: float) -> Self:
        """The smallest rate that reaches ``enough`` of the greatest fall."""
        greatest = max((one.fall for one in tried), default=-math.inf)
        if not greatest > 0:
            low, high = tried[0].rate, tried[-1].rate
            return cls(tried, steps, None, f"no rate from {low:.1g} to {high:.1g} makes the loss fall in {steps} steps")
        rate = next(one.rate for one in tried if one.fall >= enough * greatest)
        return cls(
            tried,
            steps,
            rate,
            f"smallest rate that reaches {percent(enough)} of the greatest fall ({percent(greatest)})",
        )
