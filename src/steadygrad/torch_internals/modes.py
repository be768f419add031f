"""The stack of torch's function modes: one put on and taken off at any time, not only as a block; and none at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import overrides

_P = ParamSpec("_P")
_R = TypeVar("_R")

_stack: Any = overrides


def unseen(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same function, in which no function mode sees a call. torch's public contexts switch off subclasses alone."""

    @functools.wraps(function)
    def alone(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with torch._C.DisableTorchFunction():
            return function(*args, **kwargs)

    return alone


def push_mode(mode: overrides.TorchFunctionMode) -> None:
    """Let ``mode`` see the functions of torch's that this thread calls from now on."""
    _stack._push_mode(mode)


def remove_mode(mode: overrides.TorchFunctionMode) -> bool:
    """Take ``mode`` from among the modes, whatever was put on top of it meanwhile; False where it is not among them."""
    above: list[Any] = []
    found = False
    while not found and _stack._len_torch_function_stack() > 0:
        top = _stack._pop_mode()
        found = top is mode
        above += [] if found else [top]
    for other in reversed(above):
        _stack._push_mode(other)
    return found
