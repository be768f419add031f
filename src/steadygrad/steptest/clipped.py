"""The effect of the loop's clip, a hook of the copied optimizer, on the first gradient of a step test.

May rely on gradients that are there before and after the hooks of a step. Knows a clip by its attribute ``clip``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from steadygrad.copies.copying import Copied
from steadygrad.probe.backward import log10_norm
from steadygrad.record.steptest import Clipped
from steadygrad.torch_internals.held import step_pre_hooks


def clips_of(optimizer: torch.optim.Optimizer) -> list[Any]:
    """The clips among its hooks."""
    return [hook for hook in step_pre_hooks(optimizer).values() if hasattr(hook, "clip")]


def gradient_norm(copied: Copied) -> float:
    """The L2 norm of the whole gradient."""
    norm = log10_norm([p.grad for _, p in copied.named_parameters()])
    return 10.0**norm if norm > -math.inf else 0.0


def clipped(optimizer: torch.optim.Optimizer, norms: Sequence[float]) -> Clipped | None:
    """The record of norms before and after; None where there are none, because nothing clips."""
    if not norms:
        return None
    clips = clips_of(optimizer)
    return Clipped(", ".join(str(one.clip) for one in clips), norms[0], norms[1], clips[-1].location)
