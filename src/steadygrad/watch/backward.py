"""Says when a program goes backward, from which loss, and when it has: the moment at which gradients are raw.

``Tensor.backward`` goes through ``torch.autograd.backward``, so covering the latter covers both. The cover stands as long as
somebody listens. Where a ``GradScaler`` made the loss, listeners get what it was given, and the scaler. Nothing here reads a
number. A graph that is being compiled sees the original alone.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor
from torch.compiler import is_compiling

from steadygrad.torch_internals.compiling import never_compiled
from steadygrad.torch_internals.points import BACKWARD, SCALE, Point
from steadygrad.torch_internals.replacing import put_over, take_off


class Listener(Protocol):
    """Hears of every backward pass of the process, in the thread that makes it."""

    def backward_begins(self, loss: Tensor | None) -> None:
        """About to go backward from ``loss``; None where that is no single scalar."""

    def backward_ended(self, loss: Tensor | None, scaler: Any) -> None:
        """Done. ``scaler``: the ``GradScaler`` that made the loss larger, if one did."""


_listeners: list[weakref.ref[Any]] = []
_stands: dict[Point, Any] = {}
"""Covers by what they cover, as long as somebody listens."""


class _Depth(threading.local):
    inside = 0


_depth = _Depth()
"""Checkpoints with re-entry call backward inside of backward: only the outermost counts."""


def listen(listener: Listener) -> None:
    """Listen from now on, until it is collected or ``leave`` is called. Held weakly."""
    _listeners.append(weakref.ref(listener, _forget))
    _cover()


def leave(listener: Listener) -> None:
    """Hear of nothing more. The last to leave takes the cover along."""
    for reference in [one for one in _listeners if one() is listener]:
        _forget(reference)


@contextmanager
def paused() -> Iterator[None]:
    """Within the block the backward passes of this thread are nobody's."""
    _depth.inside += 1
    try:
        yield
    finally:
        _depth.inside -= 1


def _forget(reference: weakref.ref[Any]) -> None:
    if reference in _listeners:
        _listeners.remove(reference)
    if not _listeners:
        _uncover()


def _cover() -> None:
    if _stands:
        return
    for point, cover in ((BACKWARD, _backward_cover), (SCALE, _scale_cover)):
        _stands[point] = put_over(*point, cover)


def _uncover() -> None:
    """Put the originals back. Where somebody covered ours meanwhile it stays below, and passes on what nobody listens to."""
    for point, cover in _stands.items():
        take_off(*point, cover)
    _stands.clear()


def _backward_cover(original: Callable[..., None]) -> Callable[..., None]:
    def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        if is_compiling() or _depth.inside or not _listeners:
            original(tensors, grad_tensors, *args, **kwargs)
            return
        loss, scaler = _begins(tensors, grad_tensors)
        _depth.inside += 1
        try:
            original(tensors, grad_tensors, *args, **kwargs)
        finally:
            _depth.inside -= 1
        _ended(loss, scaler)

    return backward


@never_compiled
def _begins(tensors: Any, grad_tensors: Any) -> tuple[Tensor | None, Any]:
    loss, scaler = _loss_of(tensors, grad_tensors)
    for reference in tuple(_listeners):
        listener = reference()
        if listener is not None:
            listener.backward_begins(loss)
    return loss, scaler


@never_compiled
def _ended(loss: Tensor | None, scaler: Any) -> None:
    for reference in tuple(_listeners):
        listener = reference()
        if listener is not None:
            listener.backward_ended(loss, scaler)


def _loss_of(tensors: Any, grad_tensors: Any) -> tuple[Tensor | None, Any]:
    one = tensors[0] if isinstance(tensors, (tuple, list)) and len(tensors) == 1 else tensors
    if not isinstance(one, Tensor) or one.numel() != 1 or grad_tensors is not None:
        return None, None
    if _scaled.scaled() is not one:
        return one, None
    given, scaler = _scaled.given(), _scaled.scaler()
    return (one if given is None else given), scaler


class _Scaled:
    """The last scalar that a ``GradScaler`` scaled, with what it came from and who did it."""

    scaled: Callable[[], Any]
    given: Callable[[], Any]
    scaler: Callable[[], Any]

    def __init__(self) -> None:
        self.scaled = self.given = self.scaler = _nothing

    def note(self, scaled: Tensor, given: Tensor, scaler: Any) -> None:
        self.scaled, self.given, self.scaler = weakref.ref(scaled), weakref.ref(given), weakref.ref(scaler)


def _nothing() -> Any:
    return None


_scaled = _Scaled()


def _scale_cover(original: Callable[..., Any]) -> Callable[..., Any]:
    def scale(self: Any, outputs: Any) -> Any:
        scaled = original(self, outputs)
        if is_compiling():
            return scaled
        if _listeners and isinstance(outputs, Tensor) and scaled is not outputs:
            _scaled.note(scaled, outputs, self)
        return scaled

    return scale
