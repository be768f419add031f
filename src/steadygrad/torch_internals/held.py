"""The contents of torch's modules, optimizers, loss scalers and loaders, read without their public methods.

A user's class may override ``parameters`` or ``children``; these tables it may not.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.conv import _ConvNd as Convolution
from torch.nn.modules.conv import _ConvTransposeNd as TransposedConvolution
from torch.nn.modules.loss import _Loss as Loss

from steadygrad.torch_internals.tensors import tensor_hooks

__all__ = [
    "BatchNorm",
    "Convolution",
    "Loss",
    "TransposedConvolution",
    "buffer_table",
    "child_table",
    "global_hooks",
    "hooks_of",
    "is_constructed",
    "list_parameters_again",
    "loader_at_work",
    "loss_scale_of",
    "own_children",
    "own_parameters",
    "parameter_table",
    "step_post_hooks",
    "step_pre_hooks",
    "steps_with_loss_scale",
]


def parameter_table(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """The module's own parameters by name, the very table."""
    return module._parameters


def buffer_table(module: nn.Module) -> dict[str, Tensor | None]:
    """Its buffers."""
    return module._buffers


def child_table(module: nn.Module) -> dict[str, nn.Module | None]:
    """Its children."""
    return module._modules


def is_constructed(module: nn.Module) -> bool:
    """Return whether ``nn.Module.__init__`` has been called on it."""
    return "_modules" in module.__dict__


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Return those registered on the module itself; none where it is not constructed yet."""
    held = module.__dict__.get("_parameters")
    return [parameter for parameter in held.values() if parameter is not None] if held else []


def own_children(module: nn.Module) -> list[nn.Module]:
    """Return those registered on the module itself; none where it is not constructed yet."""
    held = module.__dict__.get("_modules")
    return [child for child in held.values() if child is not None] if held else []


def hooks_of(module: nn.Module) -> Iterable[Any]:
    """Forward and backward hooks of the module, and those of its own parameters."""
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        yield from vars(module).get(name, {}).values()
    for parameter in module._parameters.values():
        yield from tensor_hooks(parameter)


def global_hooks() -> Iterable[Any]:
    """Hooks of all modules."""
    home: Any = torch.nn.modules.module
    for name in ("forward", "forward_pre", "backward", "backward_pre"):
        yield from vars(home).get(f"_global_{name}_hooks", {}).values()


def step_pre_hooks(optimizer: torch.optim.Optimizer) -> dict[int, Any]:
    """Return the very table of what an optimizer calls before each step."""
    return optimizer._optimizer_step_pre_hooks


def step_post_hooks(optimizer: torch.optim.Optimizer) -> dict[int, Any]:
    """Return the table of what it calls after each step."""
    return optimizer._optimizer_step_post_hooks


def list_parameters_again(optimizer: torch.optim.Optimizer) -> None:
    """Renew LBFGS's own list of parameters and its count of elements, after its groups were changed."""
    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer._params = optimizer.param_groups[0]["params"]
        optimizer._numel_cache = None


def steps_with_loss_scale(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether a loss scaler leaves it to the optimizer to divide by the scale."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def loss_scale_of(scaler: Any, optimizer: torch.optim.Optimizer) -> Tensor | None:
    """Return the factor of a ``GradScaler``; None where it has unscaled this optimizer's gradients, or not begun."""
    # Its table makes an entry for whoever asks, so it is asked first.
    states = getattr(scaler, "_per_optimizer_states", {})
    state = states.get(id(optimizer), {}) if id(optimizer) in states else {}
    unscaled = getattr(state.get("stage"), "name", "READY") != "READY"
    found = getattr(scaler, "_scale", None)
    return found if isinstance(found, Tensor) and not unscaled else None


def loader_at_work() -> bool:
    """Return whether a ``DataLoader`` is in the middle of giving batches. Judged by types alone: an object may be anything."""
    base = torch.utils.data.dataloader._BaseDataLoaderIter
    return any(issubclass(type(one), base) for one in gc.get_objects())
