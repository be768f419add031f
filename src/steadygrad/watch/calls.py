"""Says when the program calls a module, and what it gave, without a mark on the module: no hook, no attribute.

``nn.Module.__call__`` is covered as long as somebody listens, so that copies, pickles, scripts and exports of a module hold
nothing of ours. The cover costs a look into a dict for each call of any module. Torch's compiler takes it for the original:
what is compiled is what would be compiled without it. May rely on torch; must not know who listens, or why.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from steadygrad.torch_internals.compiling import never_compiled
from steadygrad.torch_internals.points import MODULE_CALL
from steadygrad.torch_internals.replacing import put_over, take_off


class Called(Protocol):
    """Hears of the calls of one module, which it holds. Not of those in a graph that is being compiled."""

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that the module is called with these."""

    def after(self, output: Any) -> None:
        """Note the module's output."""


_listeners: dict[int, list[weakref.ref[Any]]] = {}
"""By the identity of the module, which cannot pass to another one while its listener holds it."""
_stands: list[Any] = []
"""The cover, as long as somebody listens."""


def listen(module: nn.Module, listener: Called) -> None:
    """Listen from now on, until it is collected or ``leave`` is called. Held weakly."""
    key = id(module)
    _listeners.setdefault(key, []).append(weakref.ref(listener, lambda gone: _forget(key, gone)))
    if not _stands:
        _stands.append(put_over(*MODULE_CALL, _cover))


def leave(module: nn.Module, listener: Called) -> None:
    """Hear of nothing more. The last to leave takes the cover along."""
    for reference in [one for one in _listeners.get(id(module), ()) if one() is listener]:
        _forget(id(module), reference)


class _Thread(threading.local):
    paused = False


_thread = _Thread()


@contextmanager
def paused() -> Iterator[None]:
    """Within the block calls that this thread makes are not heard of: they are not the program's."""
    before, _thread.paused = _thread.paused, True
    try:
        yield
    finally:
        _thread.paused = before


def _forget(key: int, reference: weakref.ref[Any]) -> None:
    listening = _listeners.get(key, [])
    if reference in listening:
        listening.remove(reference)
    if not listening:
        _listeners.pop(key, None)
    if not _listeners and _stands:
        # Where somebody covered ours meanwhile it stays below, and passes on what nobody listens to.
        take_off(*MODULE_CALL, _stands.pop())


def _cover(original: Callable[..., Any]) -> Any:
    def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        # What is asked for first costs least, and is asked for at each call of each module.
        if id(self) in _listeners and not (torch.compiler.is_compiling() or _thread.paused):
            listening = _begins(_listeners[id(self)], args, kwargs)
            output = original(self, *args, **kwargs)
            _ended(listening, output)
            return output
        return original(self, *args, **kwargs)

    return __call__


@never_compiled
def _begins(references: list[weakref.ref[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Called]:
    listening: list[Called] = [one for reference in references if (one := reference()) is not None]
    for one in listening:
        one.before(args, kwargs)
    return listening


@never_compiled
def _ended(listening: list[Called], output: Any) -> None:
    for one in listening:
        one.after(output)
