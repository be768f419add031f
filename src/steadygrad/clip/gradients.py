"""The gradients of parameters as plain tensors that can be changed in place, and how to scale them.

A sparse gradient is its values, each row once; a distributed one is the part that lies in this process. Knows tensors; no
clip, no bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from steadygrad.clip.shards import Groups, all_plain, groups_of, locals_of, settled
from steadygrad.torch_internals.tensors import foreach_mul_, group_tensors, values_of_sparse


def listed(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """One tensor or any iterable of them, a generator too, as a list."""
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def gradients_of(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return every gradient there is, in the order of its parameter: plain tensors, or distributed ones as they are.

    A sparse gradient that is not coalesced is coalesced first, a distributed one that is a sum over processes summed; both
    stay with the parameter.
    """
    found = []
    for parameter in listed(parameters):
        gradient = parameter.grad
        if gradient is None:
            continue
        if type(gradient) is not Tensor or gradient.is_sparse:
            gradient = _changeable(parameter, gradient)
        found.append(gradient)
    return found


def _changeable(parameter: Tensor, gradient: Tensor) -> Tensor:
    if gradient.is_sparse:
        return values_of_sparse(coalesced(parameter, gradient))
    one = settled(parameter, gradient)
    if one is not gradient:
        parameter.grad = one
    return one


def coalesced(parameter: Tensor, gradient: Tensor) -> Tensor:
    """A sparse gradient with each row once, which from now on is the parameter's gradient."""
    if not gradient.is_coalesced():
        parameter.grad = gradient = gradient.coalesce()
    return gradient


def grouped(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Lists of one device and dtype each, which foreach kernels take at once; in the order in which torch takes them."""
    if not tensors:
        return []
    return [held[0] for held, _ in group_tensors([list(tensors)]).values()]  # type: ignore[misc]


def grouped_places(tensors: Sequence[Tensor]) -> list[list[int]]:
    """The same lists as places in ``tensors``."""
    return [list(places) for _, places in group_tensors([list(tensors)], with_indices=True).values()]


def by_groups(gradients: Sequence[Tensor]) -> list[tuple[Groups, Sequence[int]]]:
    """Places in ``gradients`` by the process groups over which they are spread; mostly one entry, spread over none."""
    if all_plain(gradients):
        return [((), range(len(gradients)))] if gradients else []
    buckets: dict[tuple[int, ...], tuple[Groups, list[int]]] = {}
    for place, gradient in enumerate(gradients):
        groups = () if type(gradient) is Tensor else groups_of(gradient)
        buckets.setdefault(tuple(map(id, groups)), (groups, []))[1].append(place)
    return [(groups, places) for groups, places in buckets.values()]


def scale_(gradients: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply all by one number, in place; it may lie on another device."""
    for tensors in grouped(locals_of(gradients)):
        foreach_mul_(tensors, factor.to(tensors[0].device))


def may_read(value: Tensor) -> bool:
    """Return whether a number can be looked at without waiting for a device, or breaking a graph that is being compiled."""
    return value.is_cpu and not torch.compiler.is_compiling()
