"""Clip norms that stand out from their own running mean and deviation (ZClip)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from steadygrad.clip import bounds
from steadygrad.clip.norm import clip_to_bound_

ALPHA = 0.97
WARM_UP = 25
"""Both as in Kumar et al. 2025, section 4."""

EPSILON = 1e-6
"""Added to the deviation, as in the authors' code."""


@dataclass
class ZScoreState:
    """Running mean and variance of the norms, and from how many deviations above the mean to clip."""

    z: float = 2.5
    alpha: float = ALPHA
    """Weight of what was before, at each step."""
    warm_up: int = WARM_UP
    """Norms whose plain mean and variance begin the running ones; nothing is clipped until then."""
    mean: float = field(default=0.0, init=False)
    variance: float = field(default=0.0, init=False)
    seen: int = field(default=0, init=False)
    """Finite norms taken in."""
    _first: list[float] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise ``BoundsError`` for numbers out of range."""
        self.z, self.alpha = bounds.above_zero("z", self.z), bounds.share("alpha", self.alpha)
        self.warm_up = bounds.count("warm_up", self.warm_up)

    @property
    def ready(self) -> bool:
        """Return whether the warm-up is over."""
        return self.seen >= self.warm_up

    def bound(self, total: float) -> float:
        """Return the bound of this step's norm, infinity where it may stay; the running mean and variance go on from it.

        A norm of score z' > z is cut to mean + z² ÷ z' deviations: the further out, the closer to the mean. One that is not
        finite is cut to the mean and changes nothing.
        """
        total = float(total)
        if not math.isfinite(total):
            return self.mean if self.ready else math.inf
        if not self.ready:
            self._begin(total)
            return math.inf
        deviation = math.sqrt(self.variance)
        score = (total - self.mean) / (deviation + EPSILON)
        most = self.mean + self.z * deviation / (score / self.z) if score > self.z else math.inf
        kept = min(total, most)
        self.mean = self.alpha * self.mean + (1 - self.alpha) * kept
        self.variance = self.alpha * self.variance + (1 - self.alpha) * (kept - self.mean) ** 2
        self.seen += 1
        return most

    def _begin(self, total: float) -> None:
        self._first.append(total)
        self.seen += 1
        if self.ready:
            self.mean = sum(self._first) / len(self._first)
            self.variance = sum((one - self.mean) ** 2 for one in self._first) / len(self._first)
            self._first.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the running statistics, for ``load_state_dict``."""
        return {"mean": self.mean, "variance": self.variance, "seen": self.seen, "first": list(self._first)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the statistics; z, alpha and warm_up stay as they are here. Raises ``BoundsError`` for an invalid state."""
        mean = bounds.at_least_zero("mean", bounds.entry(state, "mean", (int, float)))
        variance = bounds.at_least_zero("variance", bounds.entry(state, "variance", (int, float)))
        seen = bounds.entry(state, "seen", int)
        first = [bounds.at_least_zero("a norm", norm) for norm in bounds.entry(state, "first", list)]
        self.mean, self.variance, self.seen, self._first = mean, variance, seen, first


def clip_zscore_(parameters: Tensor | Iterable[Tensor], state: ZScoreState) -> Tensor:
    """Clip the global L2 norm where it stands out from those in ``state``, in place.

    (ZClip, Kumar et al. 2025, arXiv:2504.02507, its reciprocal clipping, without the fixed bound that the authors' code puts
    on top: for that call ``clip_norm_`` after it.) Reads one number a step, so on an accelerator it waits for the gradients. A
    NaN or inf is not remembered, and goes through as in ``clip_norm_``.

    Args:
        parameters: Those whose gradients are clipped, one or several; those without a gradient are left out.
        state: The caller's: one for each optimizer, saved with ``state_dict``.

    Returns:
        The norm before, a scalar tensor.

    Raises:
        BoundsError: A ``ValueError``, by ``ZScoreState``: a number of it is out of its range.

    Example:
        >>> import torch, steadygrad as sg
        >>> weight, state = torch.nn.Parameter(torch.zeros(1)), sg.ZScoreState()
        >>> for size in [1.0, 1.1, 0.9] * 20:
        ...     weight.grad = torch.tensor([size])
        ...     _ = sg.clip_zscore_([weight], state)
        >>> weight.grad = gradient = torch.tensor([100.0])
        >>> float(sg.clip_zscore_([weight], state)), bool(gradient < 10)
        (100.0, True)
    """
    return clip_to_bound_(parameters, state.bound)
