"""The closure that ``optimizer.step`` is given, and another one in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def closure_of(args: Any, kwargs: Any, place: int | None) -> Callable[..., Any] | None:
    """Return the closure among the arguments of a step hook, ``args[0]`` being the optimizer; None where there is none.

    ``place``: how many arguments come before it, by the signature of ``step``; None where that has none by place.
    """
    closure = args[place] if place is not None and len(args) > place else kwargs.get("closure")
    return closure if callable(closure) else None


def with_closure(args: Any, kwargs: Any, place: int | None, closure: Callable[..., Any]) -> tuple[Any, Any]:
    """The arguments with this one instead."""
    if place is not None and len(args) > place:
        return (*args[:place], closure, *args[place + 1 :]), kwargs
    return args, {**kwargs, "closure": closure}
