"""The device and precision of a subject, and losses by name: the options of a check.

May rely on torch; must not make data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.errors import SettingsError
from steadygrad.subject.loading import load_function
from steadygrad.torch_internals.tensors import tree_map
from steadygrad.written import nearest


def place_model(model: nn.Module, device: str | None, dtype: str | None) -> nn.Module:
    """The model on the device and in the dtype asked for; None leaves it. Raises ``SettingsError``."""
    kind = None if dtype is None else _dtype(dtype)
    if device is not None:
        try:
            model = model.to(torch.empty(0, device=device).device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise SettingsError(f"cannot use --device {device}: {str(error).splitlines()[0]}") from None
    return model if kind is None else model.to(kind)


def place_batch(batch: Any, device: str | None, dtype: str | None) -> Any:
    """Every tensor moved; floating-point ones converted."""
    kind = None if dtype is None else _dtype(dtype)

    def move(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        leaf = leaf if device is None else leaf.to(device)
        return leaf.to(kind) if kind is not None and leaf.is_floating_point() else leaf

    return batch if device is None and kind is None else tree_map(move, batch)


def _dtype(name: str) -> torch.dtype:
    kind = getattr(torch, name.removeprefix("torch."), None)
    if not isinstance(kind, torch.dtype) or not (kind.is_floating_point or kind.is_complex):
        raise SettingsError(f"unknown dtype {name!r}; use float32, bfloat16, float16 or float64")
    return kind


def loss_named(text: str) -> Callable[..., Any]:
    """``cross_entropy``, ``MSELoss`` or ``file.py:function``. Raises ``SettingsError`` naming the nearest."""
    if ":" in text:
        return load_function(text, "--loss")
    if text.endswith("Loss") and hasattr(nn, text):
        try:
            made: Callable[..., Any] = getattr(nn, text)()
        except TypeError as error:
            raise SettingsError(
                f"{text} cannot be made without arguments ({error}); use --loss file.py:function"
            ) from None
        return made
    functions = [name for name in vars(F) if name.endswith(("_loss", "cross_entropy", "_div", "with_logits"))]
    if text in functions and callable(getattr(F, text)):
        found: Callable[..., Any] = getattr(F, text)
        return found
    known = [*functions, *(name for name in vars(nn) if name.endswith("Loss"))]
    near = nearest(text, known)
    hint = f"did you mean {near}?" if near else "name one of torch.nn.functional, or file.py:function"
    raise SettingsError(f"unknown loss {text!r}; {hint}")
