"""The loss of a step, taken without waiting: a number on the CPU, on a device a function that reads it when rows are read."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steadygrad.torch_internals.tensors import version_of


def kept(loss: Tensor) -> Any:
    """The loss, as a number where that needs no waiting, else a value to read later."""
    if type(loss) is Tensor and loss.is_cpu:
        return loss.item()  # A third of what a detached copy and numpy take on cold caches.
    held = loss.detach()
    if held.device.type == "cpu":
        return float(held.numpy()) if held.dtype != torch.bfloat16 else float(held)
    return functools.partial(_later, held, version_of(held))


def _later(held: Tensor, version: int) -> float:
    return float(held) if version_of(held) == version else math.nan


def total(losses: Sequence[Any]) -> Any:
    """The sum over the backward passes of a step: accumulation divides the loss, and its parts make the whole."""
    if not losses:
        return math.nan
    if len(losses) == 1:
        return losses[0]
    if any(map(callable, losses)):
        held = list(losses)
        return lambda: sum(one() if callable(one) else one for one in held)
    return sum(losses)


def product(one: Any, other: Any) -> Any:
    """Multiply two factors, each a number or a function that gives it later."""
    if callable(one) or callable(other):
        return lambda: (one() if callable(one) else one) * (other() if callable(other) else other)
    return one * other
