"""The closure that ``optimizer.step`` is given, and another one in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def closure_of(args: Any, kwargs: Any) -> Callable[..., Any] | None:
    """From the arguments of a step hook, ``args[0]`` being the optimizer; None where there is none."""
    closure = args[1] if len(args) > 1 else kwargs.get("closure")
    return closure if callable(closure) and not isinstance(closure, Tensor) else None


def with_closure(args: Any, kwargs: Any, closure: Callable[..., Any]) -> tuple[Any, Any]:
    """The arguments with this one instead."""
    if len(args) > 1:
        return (args[0], closure, *args[2:]), kwargs
    return args, {**kwargs, "closure": closure}
