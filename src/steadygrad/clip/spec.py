"""A clip as data, and as a hook that an optimizer runs before its step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from steadygrad.clip.adaptive import clip_adaptive_
from steadygrad.clip.norm import clip_norm_
from steadygrad.clip.quantile import NormHistory, clip_quantile_
from steadygrad.clip.value import clip_value_


@dataclass(frozen=True, slots=True)
class Clip:
    """Which clip, with its numbers: ``Clip.value(-1, 1)``, ``.norm(1.0)``, ``.adaptive(0.01)``, ``.quantile(0.9)``."""

    kind: str
    low: float
    high: float

    @classmethod
    def value(cls, low: float = -1.0, high: float = 1.0) -> Self:
        return cls("value", low, high)

    @classmethod
    def norm(cls, max_norm: float = 1.0) -> Self:
        return cls("norm", 0.0, max_norm)

    @classmethod
    def adaptive(cls, ratio: float = 0.01) -> Self:
        return cls("adaptive", 0.0, ratio)

    @classmethod
    def quantile(cls, share: float = 0.9) -> Self:
        return cls("quantile", 0.0, share)


class ClipBeforeStep:
    """A step pre-hook: ``optimizer.register_step_pre_hook(ClipBeforeStep(Clip.value(-1, 1)))``."""

    belongs_to_copies = True
    """A copy of the optimizer that is tried out takes this hook along."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.history = NormHistory()

    def __call__(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        clip = self.clip
        if clip.kind == "value":
            clip_value_(parameters, clip.low, clip.high)
        elif clip.kind == "norm":
            clip_norm_(parameters, clip.high)
        elif clip.kind == "adaptive":
            clip_adaptive_(parameters, clip.high)
        else:
            clip_quantile_(parameters, self.history, clip.high)
