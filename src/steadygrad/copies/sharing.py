"""A test that a copy of a model shares no parameter, buffer, submodule or other tensor with its original.

A class may say for itself how it is copied, and give itself, or a new instance around the same tensors. Knows modules and
tensors; runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from steadygrad.errors import SubjectError
from steadygrad.source.originals import memory_of
from steadygrad.torch_internals.held import buffer_table, parameter_table


def refuse_shared(model: nn.Module, twin: nn.Module) -> None:
    """Raise ``SubjectError`` where the copy has a submodule or a tensor of the original's, which a step would change."""
    modules = {id(module) for module in model.modules()}
    for name, module in twin.named_modules():
        # A module of TorchScript is a new object around the same parts at each access.
        if id(module) in modules and not isinstance(module, torch.jit.ScriptModule):
            raise SubjectError(f"a copy of {type(model).__name__} has the very {type(module).__name__} {_at(name)}")
    memory = {place for _, tensor in _tensors(model) if (place := memory_of(tensor))}
    for name, tensor in _tensors(twin):
        if memory_of(tensor) in memory:
            raise SubjectError(f"a copy of {type(model).__name__} has the very tensor {name} of the original")


def _at(name: str) -> str:
    return f"at {name} of the original" if name else "that was to be copied"


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for prefix, module in model.named_modules():
        held = (parameter_table(module), buffer_table(module), vars(module))
        for name, value in ((name, value) for table in held for name, value in table.items()):
            if isinstance(value, Tensor):
                yield f"{prefix}.{name}" if prefix else name, value
