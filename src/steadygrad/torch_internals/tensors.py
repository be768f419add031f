"""The private parts of torch about tensors, autograd nodes and lists of tensors, as plain functions.

Each is torch's own function where a call through one of ours would cost on the path of a step.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype as group_tensors
from torch.utils._pytree import tree_leaves, tree_map, tree_map_with_path

__all__ = [
    "accumulated_hooks",
    "any_autocast",
    "foreach_clamp_max_",
    "foreach_clamp_min_",
    "foreach_div_",
    "foreach_mul_",
    "foreach_norm",
    "group_tensors",
    "hook_node_with",
    "next_sequence_number",
    "rows_of_sparse",
    "sequence_number",
    "set_grad_enabled",
    "tensor_hooks",
    "tree_leaves",
    "tree_map",
    "tree_map_with_path",
    "values_of_sparse",
    "version_of",
    "versions_of",
    "writes_to",
]

foreach_norm = torch._foreach_norm
foreach_mul_ = torch._foreach_mul_
foreach_div_ = torch._foreach_div_
foreach_clamp_min_ = torch._foreach_clamp_min_
foreach_clamp_max_ = torch._foreach_clamp_max_

set_grad_enabled = torch._C._set_grad_enabled
"""The switch alone, without the object that ``torch.set_grad_enabled`` makes."""
any_autocast = torch._C._is_any_autocast_enabled
"""Takes no argument: half the cost of asking for a device by its name."""

next_sequence_number: Callable[[], int] = torch._C._autograd._get_sequence_nr
"""The number that the next autograd node of this thread will get."""
sequence_number: Callable[[Any], int] = operator.methodcaller("_sequence_nr")
"""The number of an autograd node."""

version_of: Callable[[Tensor], int] = operator.attrgetter("_version")
"""How often a tensor was written to. Raises ``RuntimeError`` for a tensor of inference mode, which counts nothing."""

values_of_sparse: Callable[[Tensor], Tensor] = operator.methodcaller("_values")
rows_of_sparse: Callable[[Tensor], Tensor] = operator.methodcaller("_indices")
"""Of a sparse tensor, coalesced or not, sharing its memory."""

accumulated_hooks: Callable[[Tensor], Any] = operator.attrgetter("_backward_hooks")
"""The very table of a tensor's own hooks, which torch makes with the first; None before."""


def tensor_hooks(tensor: Tensor | None) -> list[Any]:
    """The hooks of a tensor's own gradient."""
    return list((getattr(tensor, "_backward_hooks", None) or {}).values())


def hook_node_with(node: Any, holder: Tensor) -> None:
    """Let a node run the hooks of ``holder``, an unrelated tensor, by the same table and without a new one."""
    node._register_hook_dict(holder)


def writes_to(tensor: Any) -> int:
    """Return how often a tensor was written to; 0 for a tensor of inference mode, which counts nothing."""
    try:
        return version_of(tensor)
    except RuntimeError:
        return 0


def versions_of(tensors: Sequence[Tensor]) -> list[int]:
    """Return how often each was written to; nothing where one of them is of inference mode."""
    try:
        return list(map(version_of, tensors))
    except RuntimeError:
        return []
