"""Who turned gradients off: the ``with`` item, the decorator or the call, while a pass is watched.

``torch.no_grad`` and ``torch.set_grad_enabled`` report every change to a torch-function mode; ``torch.inference_mode`` is
covered. May rely on frames and source text. Must not know what was recorded meanwhile.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import torch

from steadygrad.record import Location
from steadygrad.source.spans import is_user_file, location_of, location_of_node, syntax_tree, user_frame
from steadygrad.torch_internals.points import INFERENCE_ENTER, INFERENCE_EXIT
from steadygrad.torch_internals.replacing import replaced

Off = tuple[str, Location | None]
"""The call that turned gradients off, by torch's name, and its place."""


class GradMode:
    """Keeps where gradients were turned off; ``off`` is None where they are on, or where nobody was seen turning them."""

    def __init__(self) -> None:
        self._off: Off | None = None
        self._last: Off | None = None
        self._inference: list[Off | None] = []

    @property
    def off(self) -> Off | None:
        """The outermost place that keeps gradients off now."""
        if torch.is_grad_enabled():
            return None
        return next((off for off in self._inference if off is not None), self._off)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """See ``inference_mode`` too until the block ends."""
        with replaced(*INFERENCE_ENTER, self._entered), replaced(*INFERENCE_EXIT, self._left):
            yield

    def changes(self, enabled: bool) -> None:
        """Note that gradients will be turned on or off."""
        frame = sys._getframe(1)
        if enabled:
            self._last, self._off = self._off or self._last, None
        elif _restores(frame):
            self._off = self._last
        elif torch.is_grad_enabled():
            self._off = _place(frame, "set_grad_enabled")

    def _entered(self, original: Any, context: Any, *args: Any) -> Any:
        frame = sys._getframe(1)
        self._inference.append(_place(frame, "inference_mode") if context.mode else None)
        return original(context, *args)

    def _left(self, original: Any, context: Any, *args: Any) -> Any:
        if self._inference:
            self._inference.pop()
        return original(context, *args)


def _restores(frame: FrameType | None) -> bool:
    """Return whether the change is the end of a block that had turned gradients on."""
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        if frame.f_code.co_name == "__exit__":
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType | None, name: str) -> Off:
    """Return the object entered from the user's frame, and the expression; of a decorated function, the decorator."""
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        owner = frame.f_locals.get("self")
        if frame.f_code.co_name in ("__enter__", "__init__") and type(owner).__module__ == "torch.autograd.grad_mode":
            name = type(owner).__name__
        decorated = frame.f_locals.get("func") if frame.f_code.co_name == "decorate_context" else None
        if decorated is not None and name != "":
            found = _decorator(decorated, name)
            if found is not None:
                return name, found
        frame = frame.f_back
    return name, _item(location_of(user_frame(frame)), name)


@functools.lru_cache(maxsize=4096)
def _item(place: Location | None, name: str) -> Location | None:
    """Return the item that turned gradients off in a whole ``with`` statement, as Python 3.11 gives it."""
    if place is None:
        return None
    for node in ast.walk(syntax_tree(place.path)):
        if isinstance(node, (ast.With, ast.AsyncWith)) and (node.lineno, node.end_lineno) == (
            place.line,
            place.end_line,
        ):
            whole = location_of_node(place.path, node)
            if (whole.column, whole.end_column) == (place.column, place.end_column):
                items = [item.context_expr for item in node.items]
                named = [item for item in items if name in ast.unparse(item)]
                return location_of_node(place.path, (named or items)[0])
    return place


def _decorator(function: Any, name: str) -> Location | None:
    """The decorator of that name above a function of the user's."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if not isinstance(code, CodeType) or not is_user_file(code.co_filename):
        return None
    for node in ast.walk(syntax_tree(code.co_filename)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name != code.co_name:
            continue
        if node.decorator_list and node.decorator_list[0].lineno == code.co_firstlineno:
            named = [one for one in node.decorator_list if name in ast.unparse(one)]
            return location_of_node(code.co_filename, named[0]) if named else None
    return None
