"""Hooks on an optimizer's steps that stay with it: its copies, pickles and compiled steps know nothing of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from steadygrad.torch_internals.compiling import never_compiled, passed_over


class StepHook:
    """Calls ``call`` as torch calls a hook of a step. Torch's own optimizers leave their hooks out of a copy; others may not."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[Any, Any, Any], Any]) -> None:
        self._call = call

    @never_compiled
    def __call__(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        # Asked for first: whatever else a compiled step reads, a change of it makes it compile again.
        if torch.compiler.is_compiling():
            return None
        return self._call(optimizer, args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return nullcontext().__exit__

    def __reduce__(self) -> Any:
        return getattr, (nullcontext(), "__exit__")


def heard(closure: Callable[..., Any], evaluated: Callable[[Any], None]) -> Callable[..., Any]:
    """The closure of a step; ``evaluated`` is called with what it has given, not while a graph is being compiled."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        given = closure(*args, **kwargs)
        if not torch.compiler.is_compiling():
            evaluated(given)
        return given

    return functools.wraps(closure, updated=())(passed_over(watched))
