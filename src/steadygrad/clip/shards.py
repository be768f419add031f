"""Gradients that are spread over processes: over which groups, and norms of parts made norms of the whole.

All ranks call in the same order and get the same numbers. Recognises a ``DTensor`` by what it can do, because importing
``torch.distributed.tensor`` takes longer than a thousand clips. Knows tensors and process groups; no clip.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor

from steadygrad.torch_internals.tensors import values_of_sparse

Groups: TypeAlias = "tuple[Any, ...]"
"""Process groups; () = the tensor is whole in each process."""


def is_distributed(tensor: Tensor) -> bool:
    """Return whether a tensor is a ``DTensor``."""
    return hasattr(tensor, "to_local") and hasattr(tensor, "placements")


def local(tensor: Tensor) -> Tensor:
    """The part in this process, sharing its memory; any other tensor as it is."""
    if type(tensor) is Tensor or not is_distributed(tensor):
        return tensor
    with torch.no_grad():
        part: Tensor = tensor.to_local()  # type: ignore[attr-defined]
    return part


def values_here(gradient: Tensor) -> Tensor:
    """The numbers of a gradient in this process; of a sparse one each row once. The gradient itself stays as it is."""
    part = local(gradient)
    return values_of_sparse(part.coalesce()) if part.is_sparse else part


def locals_of(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the parts of all in this process; the tensors themselves where none is distributed, a quick check."""
    return tensors if all_plain(tensors) else [local(tensor) for tensor in tensors]


def all_plain(tensors: Sequence[Tensor]) -> bool:
    """Return whether all are of the class ``torch.Tensor`` itself."""
    return set(map(type, tensors)) <= {Tensor}  # Written out: the compiler of torch 2.6 knows no other set.


def settled(parameter: Tensor, gradient: Tensor) -> Tensor:
    """A gradient laid out as its parameter is: sums over processes that were put off are made."""
    if not (is_distributed(gradient) and is_distributed(parameter)):
        return gradient
    if tuple(gradient.placements) == tuple(parameter.placements):  # type: ignore[attr-defined]
        return gradient
    with torch.no_grad():
        laid: Tensor = gradient.redistribute(placements=parameter.placements)  # type: ignore[attr-defined]
    return laid


def groups_of(tensor: Tensor, dimensions: Collection[int] | None = None) -> Groups:
    """The groups over which the tensor is sharded; only along ``dimensions`` where they are given."""
    if not is_distributed(tensor):
        return ()
    mesh = tensor.device_mesh  # type: ignore[attr-defined]
    return tuple(
        mesh.get_group(axis)
        for axis, placement in enumerate(tensor.placements)  # type: ignore[attr-defined]
        if not placement.is_replicate() and (dimensions is None or placement.dim in dimensions)
    )


def whole_norm(part: Tensor, groups: Groups, norm_type: float) -> Tensor:
    """The norm of the whole from the norm of this process's part, a scalar.

    Gathered and not reduced: a maximum over ranks may lose a NaN, a norm of norms keeps it. float64 on the way.
    """
    if not groups:
        return part
    wide = part.double()
    for group in groups:
        parts = [torch.empty_like(wide) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, wide, group=group)
        wide = torch.linalg.vector_norm(torch.stack(parts), norm_type)
    return wide.to(part.dtype if part.dtype.itemsize >= 4 else torch.float32)


def whole_norms(parts: Tensor, groups: Groups) -> Tensor:
    """Many L2 norms at once, by one all-reduce of their squares for each group."""
    if not groups:
        return parts
    squares = parts.double().square()
    for group in groups:
        dist.all_reduce(squares, group=group)
    return squares.sqrt().to(parts.dtype if parts.dtype.itemsize >= 4 else torch.float32)
