"""Tells of the scalar that the program calls ``backward`` on: the loss of the step to come.

``Tensor.backward`` goes through ``torch.autograd.backward``, so covering the latter covers both. Where a ``GradScaler`` made
the scalar, what it was given is told instead. Nothing is read from a device here. Knows the modules that are handed in; must
not import torch.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

Tell = Callable[[Any], None]
"""Called with a scalar tensor."""

_COVERED = "_steadygrad_covers"


def tell_of_losses(torch: ModuleType, tell: Tell) -> None:
    """From now on, ``tell(loss)`` before each backward pass from one scalar."""
    autograd: Any = torch.autograd
    if hasattr(autograd.backward, _COVERED):
        return
    tensor_type: type = torch.Tensor
    unscaled = _Unscaled()
    original = autograd.backward

    @functools.wraps(original)
    def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        one = tensors[0] if isinstance(tensors, (tuple, list)) and len(tensors) == 1 else tensors
        if grad_tensors is None and isinstance(one, tensor_type) and one.numel() == 1:  # type: ignore[attr-defined]
            tell(unscaled.of(one))
        original(tensors, grad_tensors, *args, **kwargs)

    setattr(backward, _COVERED, True)
    autograd.backward = backward
    scaler = getattr(getattr(torch, "amp", None), "GradScaler", None)
    if scaler is not None:
        _cover_scale(scaler, tensor_type, unscaled)


class _Unscaled:
    """The last scalar that a ``GradScaler`` scaled, with what it came from."""

    def __init__(self) -> None:
        self._scaled: weakref.ref[Any] | None = None
        self._given: weakref.ref[Any] | None = None

    def note(self, scaled: Any, given: Any) -> None:
        self._scaled, self._given = weakref.ref(scaled), weakref.ref(given)

    def of(self, tensor: Any) -> Any:
        if self._scaled is not None and self._given is not None and self._scaled() is tensor:
            given = self._given()
            return tensor if given is None else given
        return tensor


def _cover_scale(scaler: Any, tensor_type: type, unscaled: _Unscaled) -> None:
    original = scaler.scale

    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        scaled = original(self, outputs)
        if isinstance(outputs, tensor_type) and scaled is not outputs:
            unscaled.note(scaled, outputs)
        return scaled

    scaler.scale = scale
