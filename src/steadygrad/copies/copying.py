"""No mark: the probe and the step test work on a copy, and what cannot be copied is put back bit for bit.

A copy is a deep copy of the model with its optimizer, in one memo, so that the new optimizer steps the new parameters.
Where a model holds what cannot be copied, its tensors are swapped for clones while it runs and swapped back after.
Knows modules and optimizers; runs nothing.
"""

from __future__ import annotations

import copy
import gc
import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedTensorMixin  # type: ignore[attr-defined]

from steadygrad.copies.randomness import same_randomness
from steadygrad.copies.rebinding import Rebinding, mark_weak
from steadygrad.copies.sharing import refuse_shared
from steadygrad.copies.step_arguments import only_the_program_has
from steadygrad.copies.surroundings import same_surroundings
from steadygrad.errors import in_one_line
from steadygrad.objective import Objective, with_loss
from steadygrad.record import BlindSpot
from steadygrad.source.originals import Originals
from steadygrad.source.spans import carry_constructions
from steadygrad.torch_internals.compiling import inside_compiled, uncompiled
from steadygrad.torch_internals.held import buffer_table, parameter_table, step_pre_hooks
from steadygrad.torch_internals.tensors import tensor_hooks, tree_map, version_of

_MACHINERY = frozenset(vars(nn.Module()))
"""Attributes that every module has: its tables of parameters, submodules and hooks."""


@dataclass(frozen=True)
class Copied:
    """A model and optimizer that may be run and stepped without leaving a mark on the user's own."""

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    blind_spots: tuple[BlindSpot, ...]
    original: dict[str, Tensor]
    """The user's own parameters by name: the values before the first step."""
    loss: nn.Module | None
    """The copy of a loss that is a module."""
    originals: Originals
    """The originals: a pass on the copy uses none of them."""
    rebinding: Rebinding

    def objective_for(self, objective: Objective) -> Objective:
        """The objective with the copy of its loss; a loss that reads the model by a closure or by name reads the copy."""
        return self.rebinding.fitted(objective) if self.loss is None else with_loss(self.loss)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return the parameters of the model, and those of the loss as "loss.…"."""
        return named_parameters(self.model, self.loss)


def named_parameters(model: nn.Module, loss: nn.Module | None) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters of the model, then of the loss ("loss.…"), each once."""
    yield from model.named_parameters()
    if loss is not None:
        known = {id(parameter) for parameter in model.parameters()}
        yield from ((n, p) for n, p in loss.named_parameters(prefix="loss") if id(p) not in known)


@contextmanager
def on_copy(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, loss: nn.Module | None = None
) -> Iterator[Copied]:
    """Work on a copy; on leaving, everything of the user's is as it was, also after an exception."""
    with ExitStack() as stack:
        stack.enter_context(same_randomness())
        stack.enter_context(same_surroundings(model, loss, optimizer))
        stack.enter_context(_same_tensors(model))
        if loss is not None:
            stack.enter_context(_same_tensors(loss))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(uncompiled())
        spots: list[BlindSpot] = []
        inner = unwrapped(model)
        original: dict[str, Tensor] = dict(named_parameters(inner, loss))
        originals = Originals((*original.items(), *inner.named_buffers()))
        memo = _memo(inner)
        try:
            _copy_scripted(inner, memo)
            mark_weak(inner, memo)
            with uncollected():
                twin = copy.deepcopy(inner, memo)
            if not isinstance(twin, nn.Module):
                raise TypeError(f"its copy is {type(twin).__name__}")
            refuse_shared(inner, twin)
        except Exception as error:
            spots.append(
                BlindSpot(
                    f"it cannot be copied ({in_one_line(error, 120)}); its tensors were swapped out instead", "model"
                )
            )
            memo = {}
            stack.enter_context(_swapped(inner, memo))
            twin = inner
        rebinding = Rebinding(inner, twin, memo)
        rebinding.settle()
        _carry_hooks(inner, twin, rebinding)
        carry_constructions(inner, twin, memo)
        beside = copy.deepcopy(loss, memo) if loss is not None else None
        if beside is not None:
            rebinding.settle(beside)
        _carry_attributes(original.values(), memo)
        yield Copied(twin, copy_optimizer(optimizer, memo, spots), tuple(spots), original, beside, originals, rebinding)


@contextmanager
def uncollected() -> Iterator[None]:
    """Python's cycle collector walks everything alive again and again, which makes a deep net's probe quadratic."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside ``torch.compile`` and data-parallel wrappers."""
    while True:
        if (original := inside_compiled(model)) is not None:
            model = original
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def clone_batch(batch: Any) -> Any:
    """The same structure with every tensor cloned, so that a model that writes into its input writes into ours."""
    return tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, batch)


def _memo(model: nn.Module) -> dict[int, Any]:
    """Copies of tensors that ``deepcopy`` refuses: results of a computation, kept as plain attributes, and lazy buffers."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in [*vars(module).values(), *buffer_table(module).values()]:
            if isinstance(value, UninitializedBuffer):
                memo[id(value)] = UninitializedBuffer(device=value.device, dtype=value.dtype)  # type: ignore[call-arg]
            elif isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return memo


def _copy_scripted(model: nn.Module, memo: dict[int, Any]) -> None:
    """Copies of TorchScript modules: ``deepcopy`` would leave their parameters attached to the user's own."""
    for module in model.modules():
        if not isinstance(module, torch.jit.ScriptModule) or id(module) in memo:
            continue
        buffer = io.BytesIO()
        torch.jit.save(module, buffer)
        buffer.seek(0)
        twin = torch.jit.load(buffer)  # type: ignore[no-untyped-call]
        pairs = zip(module.parameters(), twin.parameters(), strict=True)
        memo.update((id(theirs), ours.requires_grad_(theirs.requires_grad)) for theirs, ours in pairs)
        memo.update((id(theirs), ours) for theirs, ours in zip(module.modules(), twin.modules(), strict=True))


def _carry_hooks(model: nn.Module, twin: nn.Module, rebinding: Rebinding) -> None:
    """A deep copy drops hooks on parameters; those that change a gradient belong to the subject."""
    if twin is model:
        return
    theirs = dict(model.named_parameters())
    for name, parameter in twin.named_parameters():
        for hook in tensor_hooks(theirs.get(name)):
            parameter.register_hook(rebinding.fitted(hook, stateful=True))  # type: ignore[no-untyped-call]


def _carry_attributes(parameters: Iterable[Tensor], memo: dict[int, Any]) -> None:
    """A deep copy drops what libraries note on parameters, as the shape that muP's layers and optimizers read."""
    for parameter in parameters:
        twin = memo.get(id(parameter))
        if twin is not None and twin is not parameter:
            for name in vars(parameter).keys() - vars(twin).keys():
                setattr(twin, name, _copied_or_same(vars(parameter)[name], memo))


def copy_optimizer(
    optimizer: torch.optim.Optimizer | None, memo: dict[int, Any], spots: list[BlindSpot]
) -> torch.optim.Optimizer | None:
    """Copy an optimizer onto the parameters in ``memo``, by identity; None where it cannot be copied: ``spots`` say why."""
    if optimizer is None:
        return None
    if needed := only_the_program_has(optimizer):
        spots.append(
            BlindSpot(
                f"its step takes {', '.join(needed)}, which only the training loop has; no step test", "optimizer"
            )
        )
        return None
    try:
        twin = copy.deepcopy(optimizer, memo)
        # An optimizer's own pickling keeps only groups and state; LBFGS has more (a scheduler's wrapped step has not).
        for name, value in vars(optimizer).items():
            if name not in vars(twin) and not callable(value):
                setattr(twin, name, copy.deepcopy(value, memo))
        for hook in step_pre_hooks(optimizer).values():
            if getattr(hook, "belongs_to_copies", False):
                twin.register_step_pre_hook(copy.deepcopy(hook))
    except Exception as error:
        spots.append(
            BlindSpot(f"it cannot be copied ({in_one_line(error, 120)}), so no step test was made", "optimizer")
        )
        return None
    return twin


@contextmanager
def _swapped(model: nn.Module, memo: dict[int, Any]) -> Iterator[None]:
    """Clones in place of every parameter and buffer, inside the user's own module objects."""
    saved = [(module, dict(vars(module))) for module in model.modules()]
    tables: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (table, dict(table)) for module in model.modules() for table in (parameter_table(module), buffer_table(module))
    ]
    for table, before in tables:
        for name, tensor in before.items():
            if tensor is None:
                continue
            if id(tensor) not in memo:
                clone = tensor.detach().clone()
                memo[id(tensor)] = (
                    nn.Parameter(clone, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else clone
                )
            table[name] = memo[id(tensor)]
    memo.update((id(module), module) for module, _ in saved)
    for module, attributes in saved:
        for name in attributes.keys() - _MACHINERY:
            vars(module)[name] = _copied_or_same(attributes[name], memo)
    try:
        yield
    finally:
        for table, before in tables:
            table.clear()
            table.update(before)
        for module, attributes in saved:
            vars(module).clear()
            vars(module).update(attributes)


def _copied_or_same(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of a user's own attribute, so that a list which a forward appends to stays as it was."""
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value  # a generator, a lock, an open file: what made the whole model uncopiable


@contextmanager
def same_buffers(model: nn.Module) -> Iterator[None]:
    """Put the buffers of a copy back, which a pass in training mode moves."""
    before = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)


@contextmanager
def _same_tensors(model: nn.Module) -> Iterator[None]:
    """Put back gradients, flags and buffers of the user's tensors, which a forward may reach through a closure."""
    parameters = [(parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.detach().clone(), version_of(buffer)) for buffer in model.buffers() if _is_plain(buffer)]
    modes = [(module, module.training) for module in model.modules()]
    for parameter, _, _ in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient, flag in parameters:
            parameter.grad = gradient
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)
        for buffer, value, version in buffers:
            if version_of(buffer) != version:
                with torch.no_grad():
                    buffer.copy_(value)
        for module, mode in modes:
            module.training = mode


def _is_plain(buffer: Tensor) -> bool:
    return not isinstance(buffer, UninitializedTensorMixin) and buffer.layout is torch.strided
