"""The functions of torch that are replaced while something is watched, each as its owner and name.

The second home of a function, where torch exports it under another name, stands beside the first.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad

Point = tuple[Any, str]
"""A class or module of torch's, and the name of a function of its."""

MODULE_CALL: Point = (nn.Module, "__call__")
MODULE_INIT: Point = (nn.Module, "__init__")
OPTIMIZER_INIT: Point = (torch.optim.Optimizer, "__init__")
PARAMETER_NEW: Point = (nn.Parameter, "__new__")
FUNCTION_APPLY: Point = (torch.autograd.Function, "apply")
BACKWARD: Point = (torch.autograd, "backward")
"""``Tensor.backward`` goes through it."""
SCALE: Point = (torch.amp.GradScaler, "scale")
INFERENCE_ENTER: Point = (torch.inference_mode, "__enter__")
INFERENCE_EXIT: Point = (torch.inference_mode, "__exit__")

FILLS: tuple[Point, ...] = ((nn.init, "_no_grad_zero_"), (nn.init, "_no_grad_fill_"))
"""The function that ``zeros_`` and ``constant_`` call, under whatever name they were imported."""

CLIP_TOTAL: Point = (clip_grad, "_get_total_norm")
CLIP_SCALE: Point = (clip_grad, "_clip_grads_with_norm_")
CLIP_VALUE: Point = (clip_grad, "clip_grad_value_")
CLIP_GROUP: Point = (clip_grad, "_group_tensors_by_device_and_dtype")
"""The helpers of torch's clips, which look them up when they are called; all clips group their gradients first."""

GRAD_MODE_NAME = "_set_grad_enabled"
"""The function through which every change of gradient mode goes but that of ``inference_mode``; a function mode sees it."""

_ALSO: dict[Point, tuple[ModuleType, str]] = {
    CLIP_TOTAL: (nn.utils, "get_total_norm"),
    CLIP_SCALE: (nn.utils, "clip_grads_with_norm_"),
}


def also(point: Point) -> tuple[ModuleType, str] | None:
    """Find where torch exports the same function publicly; None where it does not, or this torch has no such name."""
    home = _ALSO.get(point)
    return home if home is not None and hasattr(*home) else None
