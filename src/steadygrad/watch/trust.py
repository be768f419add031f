"""A test that norms read after the backward pass still are those of the gradients when the program clips.

Writes through ``p.grad.data``, numpy or a raw pointer count in no version, so that a clip is handed norms only where the first
``FIRST`` clips, which torch computed by itself, came to the same total to the bit; one in ``AGAIN`` is compared for ever.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

FIRST, AGAIN = 8, 64
"""Clips that are compared at the beginning, and of how many later ones one is: a reading saved in all the others."""


class Trust:
    """Of one optimizer's gradients."""

    def __init__(self) -> None:
        self._calls = 0
        self._broken = False
        self._differs: Tensor | None = None
        """On a device: whether one of the clips since the last ``settle`` came to something else."""

    def holds(self, total: Tensor) -> bool:
        """Return whether this clip may be handed ``total``. Else torch computes its own, and ``compare`` gets it."""
        self._calls += 1
        if self._broken or self._calls <= FIRST or self._calls % AGAIN == 0 or self._differs is not None:
            return False
        # A program that mends what is not finite before it clips writes in rare steps alone.
        return not total.is_cpu or math.isfinite(_number(total))

    def compare(self, total: Tensor, theirs: Tensor) -> None:
        """Compare what was read with what torch found. Waits for no device."""
        if total.is_cpu:
            one, other = _number(total), _number(theirs)
            self._broken = self._broken or not (one == other or (math.isnan(one) and math.isnan(other)))
        else:
            differs = ~((total == theirs) | (total.isnan() & theirs.isnan()))
            self._differs = differs if self._differs is None else self._differs | differs

    def settle(self) -> None:
        """Take in what was compared on a device. Waits for it."""
        if self._differs is not None:
            self._broken, self._differs = self._broken or bool(self._differs), None


def norms_to_clip_by(watch: Any) -> tuple[Tensor, list[float] | None]:
    """Norms of the gradients as the step of a ``StepWatch`` finds them, without their loss scale, for a clip of the guard's own.

    Those that were read are of the raw gradients, before the program scaled or clipped them. The second: the same as numbers,
    None on a device.
    """
    ring, trust = watch.ring, watch.trust
    as_read = not (watch.rewritten or watch.clips)
    total = torch.linalg.vector_norm(ring.row)
    # Under a loss scale the squares of what is there may overflow, which the reading took care of.
    if as_read and (watch.scale is not None or trust.holds(total)):
        return ring.row, watch.norms
    now = ring.measure()
    if watch.scale is not None:
        now.div_(watch.scale.to(now.device))
    if as_read:
        trust.compare(total, torch.linalg.vector_norm(now))
    return now, now.tolist() if ring.on_host else None


def _number(total: Tensor) -> float:
    """Through the memory that numpy shares: no operation of torch's reads it."""
    return float(total.detach().numpy()[()])
