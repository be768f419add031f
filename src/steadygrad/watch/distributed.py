"""Gradients that live in several processes: whose norms must be added up over which ranks, and who decides.

A ``DTensor``'s shards are summed over the mesh dimensions on which it is sharded; gradients that data parallelism has made
equal need nothing. All ranks then hold the same numbers and decide the same. Collectives run in step order only, never by
the clock. Knows tensors and process groups; no guard, no rule.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from steadygrad.clip.shards import groups_of, is_distributed


class Meshes:
    """The columns of a row that are parts, and the process groups over which they are added up."""

    def __init__(self, groups: dict[int, tuple[Any, list[int]]], width: int) -> None:
        self._groups = [(group, torch.tensor(columns)) for group, columns in groups.values()]
        self._whole = len(self._groups) == 1 and len(self._groups[0][1]) == width

    def add_up_(self, row: Tensor) -> None:
        """Norms of parts to norms of the whole, in place: one small all-reduce of squares for each group.

        float32: a norm is off by a few roundings, as torch's own reduction over a mesh is.
        """
        for group, columns in self._groups:
            squares = row.square() if self._whole else row[columns].square()
            dist.all_reduce(squares, group=group)
            if self._whole:
                torch.sqrt(squares, out=row)
            else:
                row[columns] = squares.sqrt()


def meshes_of(gradients: Sequence[Tensor]) -> Meshes | None:
    """The reductions that these gradients need; None where each process holds them whole."""
    groups: dict[int, tuple[Any, list[int]]] = {}
    for column, gradient in enumerate(gradients):
        for group in groups_of(gradient):
            groups.setdefault(id(group), (group, []))[1].append(column)
    return Meshes(groups, len(gradients)) if groups else None


def is_shared(roots: Sequence[nn.Module], parameters: Sequence[Tensor]) -> bool:
    """Return whether other processes train the same parameters, so that all must decide the same."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return False
    wrapped = any(isinstance(m, nn.parallel.DistributedDataParallel) for root in roots for m in root.modules())
    return wrapped or any(is_distributed(p) for p in parameters)


def holds_a_part(roots: Sequence[nn.Module]) -> bool:
    """Return whether this process has a part of the parameters as plain tensors, and the others theirs: FSDP as it was first."""
    kind: Any = getattr(sys.modules.get("torch.distributed.fsdp"), "FullyShardedDataParallel", None)
    if kind is None or world() == 1:
        return False
    wrapped = [module for root in roots for module in root.modules() if isinstance(module, kind)]
    return any(module.sharding_strategy.name != "NO_SHARD" for module in wrapped)


def rank() -> int:
    """This process's rank; 0 where there is but one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def largest(value: int, device: torch.device) -> int:
    """The greatest of all ranks' values. Waits for all ranks."""
    agreed = torch.tensor(value, device=device)
    dist.all_reduce(agreed, op=dist.ReduceOp.MAX)
    return int(agreed)


def gathered(values: Sequence[float], device: torch.device) -> list[list[float]]:
    """Every rank's values, by rank. Waits for all ranks."""
    mine = torch.tensor(list(values), dtype=torch.float64, device=device)
    all_of_them = [torch.empty_like(mine) for _ in range(world())]
    dist.all_gather(all_of_them, mine)
    return [one.tolist() for one in all_of_them]
