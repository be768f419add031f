"""A short monitored training, as the tools that watch a run see it: the raw numbers their rules are written in.

Thirty real steps on the row's own stream of batches, weights and gradients read at each step, activations at the first and
last. Activations called as functions are seen too, which is more than the originals see. Knows no rule.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.corpus.case import Made, objective
from bench.corpus.prepare import prepare
from bench.corpus.row import Row

STEPS = 30

RECTIFIED = {torch.relu: "relu", F.relu: "relu", F.relu6: "relu", nn.functional.relu: "relu"}
SQUASHING = {torch.sigmoid: "sigmoid", Tensor.sigmoid: "sigmoid", torch.tanh: "tanh", Tensor.tanh: "tanh"}


@dataclass(frozen=True)
class Activation:
    """One call of an activation: what went in and came out."""

    kind: str
    """ "relu", "sigmoid" or "tanh"."""
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class Step:
    """One training step. Weights are those before the step, as matrices come first in the model."""

    loss: float
    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    """Of the parameters with two or more dimensions; zeros where there is none."""
    biases: tuple[Tensor, ...]
    """Gradients of the other parameters."""
    outputs: tuple[Tensor, ...] = ()
    """Of every module without children; at the first and last step only."""
    activations: tuple[Activation, ...] = ()


class _Seen(TorchFunctionMode):
    def __init__(self, found: list[Activation]):
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        kind = RECTIFIED.get(func) or SQUASHING.get(func)
        if kind is not None and isinstance(args[0], Tensor):
            self.found.append(Activation(kind, args[0].detach(), out.detach()))
        return out


@contextmanager
def _looking(model: nn.Module, outputs: list[Tensor], activations: list[Activation]) -> Iterator[None]:
    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            outputs.append(first.detach())

    hooks = [m.register_forward_hook(keep) for m in model.modules() if not list(m.children())]
    try:
        with _Seen(activations):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class Subject:
    """A row as a peer gets it: its short run, made once, and as many fresh set-ups as it wants."""

    def __init__(self, row: Row):
        self.row = row
        self.spent = 0.0
        """Processor time in which the run was made."""
        self.charged = 0.0
        """Processor time of those parts of the run that were asked for, whoever had it made."""

    def fresh(self) -> Made:
        """The set-up before training, drawn from the row's seed."""
        return prepare(self.row).made

    @property
    def run(self) -> tuple[Step, ...]:
        """The monitored steps; fewer where the loss stopped being finite."""
        run = self._run
        self.charged += self._cost
        return run

    @property
    def first(self) -> Step:
        """The first step of the run: what one forward and backward pass shows."""
        run = self._run
        self.charged += self._cost / len(run)
        return run[0]

    @cached_property
    def _run(self) -> tuple[Step, ...]:
        began = time.process_time()
        run = _steps(self.fresh())
        self._cost = time.process_time() - began
        self.spent += self._cost
        return run


def _steps(made: Made) -> tuple[Step, ...]:
    made.model.train()
    steps: list[Step] = []
    for number in range(STEPS):
        outputs: list[Tensor] = []
        activations: list[Activation] = []
        made.optimizer.zero_grad()
        looking = _looking(made.model, outputs, activations) if number in (0, STEPS - 1) else nullcontext()
        with looking:
            loss, _ = objective(made, made.batches(number))
        loss.backward()
        parameters = [p for p in made.model.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p.ndim >= 2]
        steps.append(
            Step(
                float(loss.detach()),
                tuple(p.detach().clone() for p in matrices),
                tuple(_gradient(p) for p in matrices),
                tuple(_gradient(p) for p in parameters if p.ndim < 2),
                tuple(outputs),
                tuple(activations),
            )
        )
        if not math.isfinite(steps[-1].loss):
            break
        made.optimizer.step()
    return tuple(steps)


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        return torch.zeros_like(parameter)
    grad = parameter.grad.detach()
    return (grad.to_dense() if grad.is_sparse else grad).float().clone()


def finite(*tensors: Tensor) -> bool:
    """Whether every element of every tensor is a number."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point())
