"""The gradients of parameters, as tensors that can be changed in place, by device and dtype."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def dense_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Every gradient there is; of a sparse one its values, each row once."""
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    found = []
    for parameter in items:
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.is_sparse:
            if not gradient.is_coalesced():
                parameter.grad = gradient = gradient.coalesce()
            gradient = gradient._values()
        found.append(gradient)
    return found


def grouped(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Lists of one device and dtype each, which foreach kernels take at once."""
    lists: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        lists.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(lists.values())
