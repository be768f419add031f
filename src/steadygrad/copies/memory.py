"""A test that the free memory suffices to train a copy."""

from __future__ import annotations

import gc
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

LARGE = 2**26
"""Bytes from which garbage is collected in any case: half a second in a process that has imported much."""

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
    free = float(psutil.virtual_memory().available)
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        if Path(limit).exists() and Path(used).exists():
            bound = Path(limit).read_text().strip()
            if bound.isdigit():
                free = min(free, float(bound) - float(Path(used).read_text()))
    return free
