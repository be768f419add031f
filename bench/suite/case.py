"""The form in which a set-up is stated, and the one way in which all of them are trained.

A case builds its model, batch, loss and optimizer afresh from a fixed seed; ``batches(step)`` gives the training stream
and ``evaluation()`` a batch that is not trained on. Training knows nothing of steadygrad: it decides the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

SEED = 0


@dataclass(frozen=True)
class Made:
    """One set-up, built: what ``steadygrad.check`` takes, and what training it needs."""

    model: nn.Module
    batch: Any
    """``(x, y)`` with ``loss_fn``; the model's whole input without."""
    loss_fn: Callable[..., torch.Tensor] | None
    optimizer: torch.optim.Optimizer
    batches: Callable[[int], Any]
    """The batch of training step n (n = 0, 1, ...)."""
    evaluation: Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A set-up as data. ``make`` is called under ``torch.manual_seed(SEED)``."""

    name: str
    family: str
    make: Callable[[], Made]
    steps: int = 200
    source: str = ""
    """Where the design comes from: paper and year, or the library's class."""
    causes: tuple[str, ...] = ()
    """Sick cases: the rule codes that name the cause (any of them is right). Empty = healthy."""
    line: str | None = None
    """Sick cases: text of the expression at fault, where there is one ("torch.sigmoid(fc(x))")."""
    twin: Callable[[], Made] | None = None
    """Sick cases: the same set-up, one change away, that trains."""
    tags: tuple[str, ...] = field(default=())

    def makes(self, which: str) -> Callable[[], Made]:
        """What builds the set-up "itself", or its "twin"."""
        return self.twin if which == "twin" and self.twin is not None else self.make


@dataclass(frozen=True)
class Outcome:
    """What training did. ``learned`` is the share of the evaluation loss that training removed, measured against
    the best constant answer where the loss allows one (so that learning the label frequencies counts as nothing)."""

    name: str
    steps: int
    loss_before: float
    loss_after: float
    constant_loss: float | None
    learned: float


def objective(made: Made, batch: Any) -> tuple[torch.Tensor, Any]:
    """Loss and output of the model on a batch, as ``steadygrad.check`` would call it."""
    if made.loss_fn is not None:
        x, y = batch
        output = made.model(**x) if isinstance(x, dict) else made.model(*x) if isinstance(x, tuple) else made.model(x)
        return made.loss_fn(output, y), output
    output = (
        made.model(**batch)
        if isinstance(batch, dict)
        else (made.model(*batch) if isinstance(batch, (tuple, list)) else made.model(batch))
    )
    loss = output["loss"] if isinstance(output, dict) else output.loss
    return loss, output


def train(name: str, make: Callable[[], Made], steps: int) -> Outcome:
    """Train from a fixed seed and say what became of the loss on the evaluation batch."""
    torch.manual_seed(SEED)
    made = make()
    before = evaluate(made)
    constant = constant_loss(made)
    made.model.train()
    for step in range(steps):
        made.optimizer.zero_grad()
        loss, _ = objective(made, made.batches(step))
        if not torch.isfinite(loss):
            return Outcome(name, step, before, math.inf, constant, -math.inf)
        loss.backward()
        made.optimizer.step()
    after = evaluate(made)
    reference = before if constant is None else min(before, constant)
    learned = (reference - after) / abs(reference) if math.isfinite(after) else -math.inf
    return Outcome(name, steps, before, after, constant, learned)


def evaluate(made: Made) -> float:
    """Loss on the evaluation batch with batch statistics and no dropout noise kept apart from training's RNG."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(SEED + 1)
        loss, _ = objective(made, made.evaluation())
    return float(loss)


def constant_loss(made: Made) -> float | None:
    """Loss of the best answer that does not look at the input: class frequencies, or the targets' mean."""
    if made.loss_fn is None:
        return None
    _, y = made.evaluation()
    if not isinstance(y, torch.Tensor):
        return None
    if not y.is_floating_point() and y.ndim >= 1:
        share = torch.bincount(y.reshape(-1).clamp(min=0)).double()
        share = share[share > 0] / share.sum()
        return float(-(share * share.log()).sum())
    if y.is_floating_point() and made.loss_fn is nn.functional.mse_loss:
        return float(((y - y.mean(0)) ** 2).mean())
    return None
