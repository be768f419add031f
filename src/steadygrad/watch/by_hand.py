"""Gradients that a program scales by hand: what of it is a clip, and what is a unit. Numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np

SAME = 1e-3
"""Relative difference within which two factors are the same."""


class HandScaling:
    """A loop that divides every gradient by the same number clips nothing: it clips where it scales by less than elsewhere."""

    def __init__(self) -> None:
        self.usual = 0.0
        """The greatest factor so far."""
        self._steps = 0
        """Steps with it."""

    def seen(self, factor: float, greatest: float) -> tuple[float, int]:
        """One step's factor on the total norm, and the greatest on any parameter; the clip's part, and steps it acted on."""
        acted = 0
        if factor > self.usual * (1 + SAME):
            # What was taken for the unit was a clip.
            acted, self._steps = self._steps, 0
            self.usual = min(factor, 1.0)
        if factor >= self.usual * (1 - SAME):
            self._steps += greatest <= factor * (1 + SAME)
            return 1.0, acted
        if greatest <= self.usual * (1 + SAME):
            return factor / self.usual, acted + 1
        return 1.0, acted


def factors(raw: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return, from norms before and after, the factor on all of them together, and the greatest on any."""
    before, after = raw.astype(np.float64), now.astype(np.float64)
    whole = float(np.linalg.norm(before))
    parts = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
    return float(np.linalg.norm(after)) / whole if whole > 0 else 1.0, float(parts.max())
