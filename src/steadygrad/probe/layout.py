"""The dimension of a tensor in which the samples of the batch lie, followed from call to call.

Views, frames, patches and positions are often folded into the batch: 64 samples of three views are 192 rows. Which rows
belong to one sample, only the call that folded them knows. Knows shapes and the names of torch's calls; keeps no tensor
alive.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor


class Layout(NamedTuple):
    """Index i of ``dimension`` belongs to sample (i ÷ ``inner``) modulo the batch size.

    ``inner`` = 1 and a size of the batch: a plain batch dimension. (samples × views) has inner = views, (views × samples) 1.
    """

    dimension: int
    inner: int = 1


FIRST, SECOND = Layout(0), Layout(1)

_RESHAPES = frozenset(
    ["view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "squeeze", "unsqueeze", "ravel"]
)
_VIEWS = frozenset(
    [
        "permute",
        "transpose",
        "swapaxes",
        "swapdims",
        "movedim",
        "moveaxis",
        "t",
        "get",
        "adjoint",
        "expand",
        "expand_as",
        "getitem",
        "select",
        "narrow",
    ]
)


def by_shape(shape: Sequence[int], batch_size: int | None) -> Layout | None:
    """Read the layout off the shape alone: the batch first; second, where a sequence comes first; else folded into the first.

    Of a folded batch the rows of one sample are taken to follow each other, as ``x.flatten(0, 1)`` leaves them.
    """
    if batch_size is None or batch_size < 2 or not len(shape):
        return None
    if shape[0] == batch_size:
        return FIRST
    folded = shape[0] > 0 and shape[0] % batch_size == 0
    if len(shape) > 1 and shape[1] == batch_size and not (folded and len(shape) > 3):
        return SECOND
    return Layout(0, shape[0] // batch_size) if folded else None


def turns(name: str) -> bool:
    """Return whether a call may change which dimension is which."""
    return name in _VIEWS or name.strip("_") in _VIEWS


def follow(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], source: Tensor, known: Layout, output: Tensor, size: int
) -> Layout | None:
    """Find where the samples lie in ``output``, made by ``name`` of ``source``, in which they lie as ``known``; None = lost."""
    word = name.strip("_")
    at, inner = known
    if word in _RESHAPES:
        found = _reshaped(source.shape, known, output.shape, size)
    elif word in _VIEWS:
        found = _turned(source, known, output)
    elif word in ("stack", "vstack"):
        where = kwargs.get("dim", args[1] if len(args) > 1 else 0)
        where += output.dim() if where < 0 else 0
        found = Layout(at + (where <= at and output.dim() > source.dim()), inner)
    elif word == "repeat_interleave" and output.dim() == source.dim():
        found = Layout(at, inner * (output.shape[at] // source.shape[at]))
    elif output.dim() > at and (output.dim() >= source.dim() or at == 0):
        found = known
    else:
        found = None
    if found is None or found.dimension >= output.dim() or output.shape[found.dimension] % (found.inner * size):
        return None
    return found


class Folds:
    """The layouts of tensors that have no place in the autograd graph, such as token ids that were flattened."""

    def __init__(self, batch_size: int | None) -> None:
        self._batch_size = batch_size
        self._known: dict[int, tuple[weakref.ref[Tensor], Layout]] = {}

    def note(self, tensor: Tensor, found: Layout | None) -> None:
        """Remember it, where the shape alone does not show it."""
        if found is not None and found != by_shape(tensor.shape, self._batch_size):
            self._known[id(tensor)] = weakref.ref(tensor), found

    def of(self, tensor: Tensor) -> Layout | None:
        """Return the noted layout, else the one that the shape shows."""
        known = self._known.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        return by_shape(tensor.shape, self._batch_size)


def _reshaped(before: Sequence[int], known: Layout, after: Sequence[int], size: int) -> Layout | None:
    """A reshape keeps the order of the elements, and with it how many elements lie between two samples."""
    apart = known.inner * math.prod(before[known.dimension + 1 :])
    below = 1
    for dimension in range(len(after) - 1, -1, -1):
        if apart % below == 0 and (below * after[dimension]) % (apart * size) == 0:
            return Layout(dimension, apart // below)
        below *= after[dimension]
    return None


def _turned(source: Tensor, known: Layout, output: Tensor) -> Layout | None:
    """A view that turns or cuts dimensions keeps the stride of the one that runs over the samples."""
    wanted = source.shape[known.dimension], source.stride(known.dimension)
    same = [d for d in range(output.dim()) if (output.shape[d], output.stride(d)) == wanted]
    return Layout(same[0], known.inner) if len(same) == 1 else None
