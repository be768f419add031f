"""Clips: gradients in, in place, before the optimizer's step. Each knows tensors alone: no model, no rule.

A clip bounds an update. It protects from spikes; it does not mend a product over depth.
"""

from steadygrad.clip.adaptive import clip_adaptive_
from steadygrad.clip.bounds import BoundsError
from steadygrad.clip.hook import ClipBeforeStep
from steadygrad.clip.norm import clip_norm_, factor_for_norm
from steadygrad.clip.per_parameter import clip_per_parameter_
from steadygrad.clip.quantile import QuantileState, clip_quantile_
from steadygrad.clip.spec import Clip
from steadygrad.clip.value import clip_value_
from steadygrad.clip.zscore import ZScoreState, clip_zscore_

__all__ = [
    "BoundsError",
    "Clip",
    "ClipBeforeStep",
    "QuantileState",
    "ZScoreState",
    "clip_adaptive_",
    "clip_norm_",
    "clip_per_parameter_",
    "clip_quantile_",
    "clip_value_",
    "clip_zscore_",
    "factor_for_norm",
]
