"""One plain step of a copy: forward, backward and the optimizer's, as a training loop takes it.

Leaves the gradients in the parameters' ``.grad``; measures nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from steadygrad.copies.copying import Copied, clone_batch
from steadygrad.copies.nested import first_tensor
from steadygrad.copies.randomness import seed_torch
from steadygrad.objective import Objective
from steadygrad.probe.backward import gradients_outside
from steadygrad.probe.graph import graph_of
from steadygrad.probe.run_probe import scalar
from steadygrad.steptest.clipped import gradient_norm


def one_step(
    copied: Copied,
    objective: Objective,
    batch: Any,
    seed: int,
    outside: list[tuple[Tensor, Tensor | None]],
    norms: list[float] | None,
    inside: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> tuple[float, Any]:
    """Loss and output before a step, made by the optimizer's own closure: those that look several times (LBFGS) are right too.

    ``outside`` is filled at the first step with the leaves beyond the copy that get a gradient, to put back; ``norms`` with
    the norm of the gradient before and after the hooks of the step. Each forward and backward pass runs ``inside`` what it makes.
    """
    assert copied.optimizer is not None
    first: list[tuple[float, Any]] = []

    def closure() -> float:
        with inside():
            loss, output = gradients_of(copied, objective, batch, seed, None if first else outside)
        if not first:
            tensor = first_tensor(output)
            first.append((float(loss.detach()), tensor.detach() if tensor is output and tensor is not None else None))
        return float(loss.detach())

    if needs_closure(copied.optimizer):
        copied.optimizer.step(closure)
    else:
        # As a training loop does it, so that step hooks (a clip) find the gradients.
        closure()
        before = gradient_norm(copied) if norms is not None else 0.0
        copied.optimizer.step()
        if norms is not None:
            norms.extend((before, gradient_norm(copied)))
    return first[0]


def gradients_of(
    copied: Copied, objective: Objective, batch: Any, seed: int, outside: list[tuple[Tensor, Tensor | None]] | None
) -> tuple[Tensor, Any]:
    """Loss and output of one plain pass, whose gradients are then in the parameters' ``.grad``.

    ``outside``, where it is empty, is filled with the leaves beyond the copy that get a gradient, to put back.
    """
    for _, parameter in copied.named_parameters():
        parameter.grad = None
    seed_torch(seed)
    with torch.enable_grad():
        returned, output = objective(copied.model, clone_batch(batch))
        loss = scalar(returned)
        if loss.grad_fn is not None and outside is not None and not outside:
            outside.extend(gradients_outside(graph_of(loss.grad_fn), (p for _, p in copied.named_parameters())))
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
    return loss, output


def all_zero(copied: Copied) -> bool:
    """Return whether all gradients are exactly zero; mostly the first one settles it."""
    gradients = (p.grad for _, p in copied.named_parameters() if p.grad is not None)
    return not any(bool(one.to_dense().any() if one.is_sparse else one.any()) for one in gradients)


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether ``step`` cannot be called without one, as LBFGS's."""
    parameter = inspect.signature(optimizer.step).parameters.get("closure")
    return parameter is not None and parameter.default is inspect.Parameter.empty
