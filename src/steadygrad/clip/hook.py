"""A clip as a hook that an optimizer runs before its step; it holds the clip's state for that optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadygrad.clip.adaptive import clip_adaptive_
from steadygrad.clip.norm import clip_norm_
from steadygrad.clip.per_parameter import clip_per_parameter_
from steadygrad.clip.quantile import QuantileState, clip_quantile_
from steadygrad.clip.spec import Clip
from steadygrad.clip.value import clip_value_
from steadygrad.clip.zscore import ZScoreState, clip_zscore_


class ClipBeforeStep:
    """A step pre-hook: ``optimizer.register_step_pre_hook(ClipBeforeStep(Clip.value(-1, 1)))``."""

    belongs_to_copies = True
    """A copy of the optimizer that is tried out takes this hook along."""

    def __init__(self, clip: Clip) -> None:
        """Start with the clip's first state."""
        self.clip = clip
        self.location: Any = None
        """Where the loop calls what this stands for, where that is known: a ``record.Location``."""
        self.state = clip.state()

    def __call__(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Clip the gradients of the optimizer's parameters, in place."""
        parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        clip = self.clip
        if isinstance(self.state, QuantileState):
            clip_quantile_(parameters, self.state)
        elif isinstance(self.state, ZScoreState):
            clip_zscore_(parameters, self.state)
        elif clip.kind == "value":
            clip_value_(parameters, clip.low, clip.high)
        elif clip.kind == "norm":
            clip_norm_(parameters, clip.high, clip.norm_type)
        elif clip.kind == "per-parameter":
            clip_per_parameter_(parameters, clip.high)
        else:
            clip_adaptive_(parameters, clip.high)


def hook_for(clip: Clip | str | None) -> ClipBeforeStep | None:
    """The clip, or what the text means, as a hook; None for None. Raises ``SettingsError`` as ``Clip.parse`` does."""
    if clip is None:
        return None
    return ClipBeforeStep(Clip.parse(clip) if isinstance(clip, str) else clip)
