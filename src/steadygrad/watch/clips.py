"""Says when the program's own clip touches gradients, and gives it the norms that have been read already.

Stands in for three helpers of ``torch.nn.utils.clip_grad`` that torch's clips look up when they are called, so it also works
where ``clip_grad_norm_`` was imported by name before. Results are torch's, bit for bit: the total norm is taken over the same
norms in the same order, and what is left out is a multiplication by exactly 1. A graph that is being compiled sees the
originals alone.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.compiler import is_compiling

from steadygrad.clip.norm import EPSILON, UNCLIPPED
from steadygrad.clip.shards import is_distributed, local
from steadygrad.torch_internals.points import CLIP_GROUP, CLIP_SCALE, CLIP_TOTAL, CLIP_VALUE, Point
from steadygrad.torch_internals.replacing import put_over, take_off
from steadygrad.watch.trust import Trust


@dataclass(slots=True)
class UserClip:
    """One call of a clip by the program."""

    kind: str
    """ "norm" or "value"."""
    bound: float
    count: int
    """The number of watched gradients that it was given."""
    scaled: bool = False
    """Whether the gradients were still multiplied by a loss scale."""
    used: bool = False
    """Whether a step had used these gradients already."""

    def __str__(self) -> str:
        return f"clip_grad_{self.kind}_({self.bound:g})"


class Clipped(Protocol):
    """Watches one optimizer's gradients."""

    trust: Trust
    """Whether its norms may stand for those that a clip would take."""

    def own(self, gradients: Sequence[Tensor]) -> int:
        """Count how many of these gradients are of its parameters."""

    def before_touch(self) -> None:
        """Read the gradients before something changes them, if they have not been read since the last backward pass."""

    def norms_of(self, gradients: Sequence[Tensor]) -> Tensor | None:
        """The L2 norms of exactly these gradients in this order, as torch's clip computes them; None where they differ."""

    def was_clipped(self, kind: str, bound: float, count: int, factor: Any, *, wrote: bool = True) -> None:
        """Note a call of a clip. ``factor``: what it multiplies by, or a function that reads it later; None where it differs.

        ``wrote``: whether it has multiplied, be it by 1.
        """


_watches: list[weakref.ref[Any]] = []
_stands: dict[Point, Any] = {}
"""Covers by what they cover, as long as somebody listens."""
_bodies: dict[Any, Point] = {}
"""Code objects of torch's clips, by what they do: a caller is known by its code, whatever it was imported as."""


_DENORMAL, _ONE = 5e-324, 1.0
"""Apart, so that they are multiplied when it is asked for."""


_gradient = operator.attrgetter("grad")


class _Busy(threading.local):
    on = False


_busy = _Busy()


def listen(watch: Clipped) -> None:
    """Listen from now on, until it is collected or ``leave`` is called. Held weakly."""
    _watches.append(weakref.ref(watch, _forget))
    _cover()


def leave(watch: Clipped) -> None:
    """Hear of nothing more. The last to leave puts torch's own helpers back."""
    for reference in [one for one in _watches if one() is watch]:
        _forget(reference)


def _forget(reference: weakref.ref[Any]) -> None:
    if reference in _watches:
        _watches.remove(reference)
    if not _watches:
        _uncover()


def _cover() -> None:
    if _stands:
        return
    for point in (CLIP_TOTAL, CLIP_SCALE, CLIP_VALUE):
        _bodies[inspect.unwrap(getattr(*point)).__code__] = point
    for point, cover in ((CLIP_TOTAL, _total_norm_over), (CLIP_SCALE, _clip_with_norm_over), (CLIP_GROUP, _group_over)):
        _stands[point] = put_over(*point, cover)


def _uncover() -> None:
    """Put the originals back. Where somebody covered ours meanwhile it stays below, and passes on what nobody listens to."""
    for point, cover in _stands.items():
        take_off(*point, cover)
    _stands.clear()
    _bodies.clear()


def _touched(gradients: Sequence[Tensor]) -> list[tuple[Clipped, int]]:
    """Find the watches that own some of these gradients, each with how many."""
    found: list[tuple[Clipped, int]] = []
    for reference in tuple(_watches):
        watch: Any = reference()
        count = 0 if watch is None else watch.own(gradients)
        if count:
            found.append((watch, count))
    return found


def _passes() -> bool:
    # What is being compiled must read nothing else: whatever it reads makes it compile again.
    return is_compiling() or _busy.on or not _watches


def _alone(original: Callable[..., Any], *args: Any) -> Any:
    """Call torch's own clip; torch's helpers call one another, and are then left alone."""
    before, _busy.on = _busy.on, True
    try:
        return original(*args)
    finally:
        _busy.on = before


def _total_norm_over(original: Callable[..., Any]) -> Callable[..., Any]:
    def total_norm(
        tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
    ) -> Any:
        if _passes():
            return original(tensors, norm_type, error_if_nonfinite, foreach)
        listed = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        touched = _touched(listed)
        for watch, _ in touched:
            watch.before_touch()
        if len(touched) == 1 and norm_type == 2.0 and foreach is None and not error_if_nonfinite:
            norms = touched[0][0].norms_of(listed)
            if norms is not None:
                # The norms were read without a graph: this one needs no guard against it, which would take as long as itself.
                total, trust = torch.linalg.vector_norm(norms, 2.0), touched[0][0].trust
                if trust.holds(total):
                    return total
                theirs = _alone(original, listed, norm_type, error_if_nonfinite, foreach)
                trust.compare(total, theirs)
                return theirs
        return _alone(original, listed, norm_type, error_if_nonfinite, foreach)

    return total_norm


def _clip_with_norm_over(original: Callable[..., Any]) -> Callable[..., Any]:
    def clip_with_norm(parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
        if _passes():
            original(parameters, max_norm, total_norm, foreach)
            return
        listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        touched = _touched([gradient for gradient in map(_gradient, listed) if gradient is not None])
        for watch, _ in touched:
            watch.before_touch()
        shown = total_norm
        if touched and type(total_norm) is not Tensor and is_distributed(total_norm):
            # The reduction that the clip would begin with: all ranks are here, and whoever reads it later waits for none.
            total_norm = _replicated(total_norm)
            shown = local(total_norm)
        bound, readable = float(max_norm), type(shown) is Tensor and shown.is_cpu
        total = shown.item() if readable else math.nan
        wrote = not (touched and foreach is None and total <= bound * UNCLIPPED - EPSILON and not _flushes())
        factor: Any = 1.0
        if wrote:
            _alone(original, listed, max_norm, total_norm, foreach)
            factor = min(1.0, bound / (total + EPSILON)) if readable else functools.partial(factor_of, shown, bound)
        for watch, count in touched:
            watch.was_clipped("norm", bound, count, factor, wrote=wrote)

    return clip_with_norm


def _group_over(original: Callable[..., Any]) -> Callable[..., Any]:
    """All of torch's clips group their gradients first: the one moment of ``clip_grad_value_`` at which they are raw."""

    def group(tensorlistlist: Any, with_indices: bool = False) -> Any:
        if not _passes():
            caller = sys._getframe(1)
            point = _bodies.get(caller.f_code)
            if point is not None:
                for watch, count in _touched(tensorlistlist[0]):
                    watch.before_touch()
                    if point == CLIP_VALUE:
                        watch.was_clipped("value", float(caller.f_locals["clip_value"]), count, None)
                    elif point == CLIP_SCALE:
                        # Torch's own under a name that was bound before there was a guard: what it does is measured.
                        watch.was_clipped("norm", float(caller.f_locals["max_norm"]), count, None)
        return original(tensorlistlist, with_indices)

    return group


def _flushes() -> bool:
    """Return whether this thread flushes denormals: multiplying by 1 is then not nothing."""
    return _DENORMAL * _ONE == 0.0


def _replicated(total: Any) -> Tensor:
    """Turn a norm that is a part in each process into the whole one in all of them, as any operation on it would."""
    from torch.distributed.tensor import Replicate

    with torch.no_grad():
        whole: Tensor = total.redistribute(placements=[Replicate()] * total.device_mesh.ndim)
    return whole


def factor_of(total: Tensor, bound: float) -> float:
    """Compute the factor of a clip to ``bound`` from the norm that it found; waits for the device."""
    return min(1.0, bound / (float(total) + EPSILON))
