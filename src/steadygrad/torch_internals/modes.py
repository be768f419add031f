"""The stack of torch's function modes: one put on and taken off at any time, not only as a block."""

from __future__ import annotations

from typing import Any

from torch import overrides

_stack: Any = overrides


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
