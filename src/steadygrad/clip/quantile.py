"""Clip at a running quantile of the norms seen so far (AutoClip)."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from steadygrad.clip import bounds
from steadygrad.clip.norm import clip_to_bound_

WINDOW = 1000
"""Norms kept, as in the authors' later package; their first code kept all."""


@dataclass
class QuantileState:
    """The finite norms seen, the last ``window`` of them (None: all), and at which of their quantiles to clip."""

    share: float = 0.9
    window: int | None = WINDOW
    _seen: deque[float] = field(default_factory=deque, init=False, repr=False)
    _sorted: list[float] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise ``BoundsError`` for a share outside [0, 1] or a window below 1."""
        self.share = bounds.share("share", self.share)
        if self.window is not None:
            self.window = bounds.count("window", self.window)

    @property
    def norms(self) -> list[float]:
        """The norms seen, oldest first."""
        return list(self._seen)

    def bound(self, total: float) -> float:
        """Take in this step's norm, and return the quantile of all, this one included; infinity where there are none.

        A norm that is not finite is not taken in. The same number as ``numpy.percentile(norms, 100 * share)``.
        """
        total = float(total)
        if math.isfinite(total):
            self._take(total)
        return self.quantile()

    def quantile(self) -> float:
        """The bound as it stands."""
        if not self._sorted:
            return math.inf
        place = (len(self._sorted) - 1) * self.share
        below = math.floor(place)
        low, high = self._sorted[below], self._sorted[min(below + 1, len(self._sorted) - 1)]
        part = place - below
        # From the nearer end, as numpy does it.
        return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)

    def _take(self, total: float) -> None:
        self._seen.append(total)
        insort(self._sorted, total)
        if self.window is not None and len(self._seen) > self.window:
            del self._sorted[bisect_left(self._sorted, self._seen.popleft())]

    def state_dict(self) -> dict[str, Any]:
        """Return the norms seen, for ``load_state_dict``."""
        return {"norms": self.norms}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the norms seen; share and window stay as they are here. Raises ``BoundsError`` for an invalid state."""
        norms = bounds.entry(state, "norms", list)
        self._seen, self._sorted = deque(), []
        for norm in norms:
            self._take(bounds.at_least_zero("a norm", norm))


def clip_quantile_(parameters: Tensor | Iterable[Tensor], state: QuantileState) -> Tensor:
    """Clip the global L2 norm at a quantile of the norms in ``state``, this one included, in place.

    (AutoClip, Seetharaman et al. 2020, arXiv:2007.14469.) Reads one number a step, so on an accelerator it waits for the
    gradients. A NaN or inf is not remembered, and goes through as in ``clip_norm_``.

    Args:
        parameters: Those whose gradients are clipped, one or several; those without a gradient are left out.
        state: The caller's: one for each optimizer, saved with ``state_dict``.

    Returns:
        The norm before, a scalar tensor.

    Raises:
        BoundsError: A ``ValueError``, by ``QuantileState``: its share is not between 0 and 1, its window not above 0.

    Example:
        >>> import torch, steadygrad as sg
        >>> weight, state = torch.nn.Parameter(torch.zeros(1)), sg.QuantileState(0.5)
        >>> for size in (1.0, 2.0, 9.0):
        ...     weight.grad = gradient = torch.tensor([size])
        ...     before = sg.clip_quantile_([weight], state)
        >>> round(float(gradient), 4)
        2.0
    """
    return clip_to_bound_(parameters, state.bound)
