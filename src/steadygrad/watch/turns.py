"""The angle by which a program's own clip by value turns the gradient: cosines between it and the raw one, on some steps.

Keeps a copy of the gradients between the clip and the step, on one step in ``EVERY``, and on the CPU alone, where nothing waits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EVERY, KEPT = 20, 50
"""Clips of which one is measured, and cosines that are kept: a copy in twenty steps is a hundredth of what the clip takes."""


class Turns:
    """Of one optimizer. ``cosines``: of the last measured steps on which the clip acted."""

    def __init__(self) -> None:
        self.cosines: list[float] = []
        self._calls = 0
        self._before: list[Tensor] | None = None

    def before(self, gradients: Sequence[Tensor]) -> bool:
        """Note that a clip by value is about to act on these. Always True."""
        due, self._calls = self._calls % EVERY == 0, self._calls + 1
        plain = due and all(type(one) is Tensor and one.is_cpu and not one.is_sparse for one in gradients)
        self._before = [one.detach().clone() for one in gradients] if plain else None
        return True

    def after(self, gradients: Sequence[Tensor], factor: float) -> float:
        """Note what the clip left, with this ``factor`` on their norm, and return the factor."""
        before, self._before = self._before, None
        if before is None or len(before) != len(gradients):
            return factor
        dot, was, now = 0.0, 0.0, 0.0
        for a, b in zip(before, gradients, strict=True):
            dot += float((a.conj() * b).real.sum())
            was += float(torch.linalg.vector_norm(a)) ** 2
            now += float(torch.linalg.vector_norm(b)) ** 2
        if was > 0 and now > 0:
            self.cosines = [*self.cosines[1 - KEPT :], dot / (was * now) ** 0.5]
        return factor
