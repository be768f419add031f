"""Clips: gradients in, in place, before the optimizer's step. Each knows tensors alone: no model, no rule.

A clip bounds an update. It protects from spikes; it does not mend a product over depth.
"""

from steadygrad.clip.adaptive import clip_adaptive_
from steadygrad.clip.norm import clip_norm_
from steadygrad.clip.quantile import NormHistory, clip_quantile_
from steadygrad.clip.spec import Clip, ClipBeforeStep
from steadygrad.clip.value import clip_value_

__all__ = ["Clip", "ClipBeforeStep", "NormHistory", "clip_adaptive_", "clip_norm_", "clip_quantile_", "clip_value_"]
