"""A test that the free memory suffices to train a copy."""

from __future__ import annotations

import gc
import math
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

LARGE = 2**26
"""Bytes from which garbage is collected in any case: half a second in a process that has imported much."""

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMORY_MARGIN = 0.9
"""Share of the free memory that a step test may plan to use; the rest is left to activations it cannot foresee."""


def fits_in_memory(model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
    """Return whether gradients and two states a parameter (Adam's) can be held beside the model."""
    sizes = [p.numel() * p.element_size() for p in model.parameters() if p.requires_grad]
    held = sum(state.numel() * state.element_size() for state in _states(optimizer))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return fits(max(3 * sum(sizes) - held, sum(sizes)), device)


def fits(needed: int, device: torch.device) -> bool:
    """Return whether so many bytes are free on the device.

    Circles of references may still hold copies that are gone. They are collected first, unless little is needed and it is
    there.
    """
    if needed < LARGE and needed <= MEMORY_MARGIN * free_memory(device):
        return True
    gc.collect()
    return needed <= MEMORY_MARGIN * free_memory(device)


def _states(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


def free_memory(device: torch.device) -> float:
    """Bytes that can still be taken on the device; on the CPU within the control group's limit."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min(float(psutil.virtual_memory().available), free_in_group(CONTROL_GROUPS))


def free_in_group(folder: Path) -> float:
    """Bytes that the control group below ``folder`` leaves, of version 2 or 1; infinite where none has a limit.

    What it uses counts pages of files that the kernel gives up when memory is wanted; these are as good as free.
    """
    left = math.inf
    for limit, used, stat, given_up in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        bound, taken, parts = folder / limit, folder / used, folder / stat
        if bound.exists() and taken.exists() and (most := bound.read_text().strip()).isdigit():
            known = dict(line.split() for line in parts.read_text().splitlines()) if parts.exists() else {}
            left = min(left, float(most) - float(taken.read_text()) + float(known.get(given_up, 0)))
    return left
