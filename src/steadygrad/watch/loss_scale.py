"""The factor by which a ``GradScaler`` has multiplied the gradients at this moment, and whether it skips the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steadygrad.torch_internals.held import loss_scale_of, steps_with_loss_scale


def at_read(watch: Any) -> Tensor | None:
    """``of`` the optimizer of a ``StepWatch``, whose loop hears of a step that is about to take gradients that hold the scale."""
    gradients = watch.ring.active or watch.parameters
    held = of(watch.optimizer, watch.scaler, touched=watch.inside and not watch.loop.untouched(gradients))
    if watch.inside and held is not None and not unscales(watch.optimizer):
        watch.loop.steps_scaled()
    return held


def of(optimizer: torch.optim.Optimizer, scaler: Any, *, touched: bool) -> Tensor | None:
    """The loss scale that the gradients hold; None where they hold none.

    ``touched``: whether the step has begun and somebody wrote to them since the backward pass, which may have been by hand what
    ``unscale_`` does.
    """
    given = optimizer.__dict__.get("grad_scale")
    if given is not None and isinstance(given, Tensor):
        return given
    # What unscale_ has done is known to the scaler alone.
    return None if scaler is None or touched else loss_scale_of(scaler, optimizer)


def unscales(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether the optimizer divides by the loss scale in its own step, as fused ones do."""
    return steps_with_loss_scale(optimizer) or "grad_scale" in optimizer.__dict__


def of_backward(scaler: Any) -> float:
    """Return the factor of the ``GradScaler`` of the last backward pass, 1 without one. Waits for the device."""
    return 1.0 if scaler is None else float(scaler.get_scale())


def leaves_out(optimizer: torch.optim.Optimizer, norms: Sequence[float] | None) -> bool:
    """Return whether a fused optimizer is called only to change nothing, because the scale was too large."""
    found = getattr(optimizer, "found_inf", None)
    if found is None or norms is None or all(map(math.isfinite, norms)):
        return False
    return bool(found)
