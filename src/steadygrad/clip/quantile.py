"""Clip at a running quantile of the norms seen so far."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from steadygrad.clip.gradients import dense_gradients
from steadygrad.clip.norm import clip_norm_, total_norm


@dataclass
class NormHistory:
    """The last ``window`` finite norms."""

    window: int = 1000
    norms: deque[float] = field(default_factory=deque)

    def add(self, norm: float) -> None:
        if math.isfinite(norm):
            self.norms.append(norm)
            while len(self.norms) > self.window:
                self.norms.popleft()

    def quantile(self, share: float) -> float:
        """The norm that ``share`` of those seen do not exceed; infinity before there is any."""
        if not self.norms:
            return math.inf
        ordered = sorted(self.norms)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share > 0 else 0)]


def clip_quantile_(parameters: Tensor | Iterable[Tensor], history: NormHistory, quantile: float = 0.9) -> Tensor:
    """Clip the global norm at the quantile of the norms in ``history``, this one included; gives the norm before.

    (AutoClip, Seetharaman et al. 2020, arXiv:2007.14469.) Raises ``ValueError`` for a quantile outside [0, 1].
    """
    if not 0.0 <= quantile <= 1.0:
        raise ValueError(f"the quantile is {quantile}, expected 0 to 1")
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    history.add(float(total_norm(dense_gradients(items))))
    bound = history.quantile(quantile)
    return clip_norm_(items, bound) if math.isfinite(bound) else total_norm(dense_gradients(items))
