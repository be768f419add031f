"""The form in which a set-up with code of its own is stated, and how its loss is read.

A case builds its model, batch, loss and optimizer afresh from a fixed seed; ``batches(step)`` gives the training stream
and ``evaluation()`` a batch that is not trained on. Nothing here knows steadygrad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    """A set-up as data."""

    name: str
    family: str
    best: float
    """Share of the evaluation loss that the best known training removes: of the twin's where there is one."""
    build: Callable[[bool], Made]
    """Of whether it is to be the sick set-up or its twin, one change away, that trains; a healthy case ignores it."""
    steps: int = 200
    source: str = ""
    """Where the design comes from: paper and year, or the library's class."""
    causes: tuple[str, ...] = ()
    """Sick cases: the rule codes that name the cause (any of them is right). Empty = healthy."""
    line: str = ""
    """Sick cases: text of the expression at fault, where there is one ("torch.sigmoid(fc(x))")."""

    def make(self, which: str = "itself", *, seed: int = SEED) -> Made:
        """The set-up "itself", or its "twin", drawn from ``seed``."""
        torch.manual_seed(seed)
        return self.build(which == "itself")


def sick_case(
    name: str, family: str, best: float, *causes: str, line: str = "", steps: int = 200, source: str = ""
) -> Callable[[Callable[[bool], Made]], Case]:
    """Give what makes the case of a function, which builds the sick set-up for True and its twin for False."""
    return lambda build: Case(name, family, best, build, steps, source, causes, line)


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


def taken(made: Made, number: int) -> Iterator[float]:
    """Take so many optimizer steps and give the loss of each. A loss that is not finite ends them; its step is not taken."""
    for step in range(number):
        made.optimizer.zero_grad()
        loss, _ = objective(made, made.batches(step))
        if torch.isfinite(loss):
            loss.backward()  # type: ignore[no-untyped-call]
            made.optimizer.step()
        yield float(loss.detach())
        if not torch.isfinite(loss):
            return


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
