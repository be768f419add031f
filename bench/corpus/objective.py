"""How far a training's own loss falls below that of the best answer that does not look at the input.

The loss of a step is read before the step is taken, so it is of a batch that is fresh, drawn from what is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from bench.corpus import law
from bench.corpus.case import Made

BATCHES = 20
"""Batches over which the best constant answer is fitted."""


def constant_loss(made: Made) -> float | None:
    """Mean loss of the best answer that is the same for every sample, by LBFGS; None where the model makes its own loss."""
    loss_fn = made.loss_fn
    if loss_fn is None:
        return None
    batches = [made.batches(step) for step in range(BATCHES)]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        training = made.model.training
        shape = made.model.eval()(batches[0][0]).shape[1:]
        made.model.train(training)
    targets = [y.float() if y.is_floating_point() else y for _, y in batches]
    answer = torch.zeros(1, *shape, requires_grad=True)
    optimizer = torch.optim.LBFGS([answer], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = torch.stack([loss_fn(answer.expand(len(y), *shape), y) for y in targets]).mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)
    return float(loss().detach())


def learned(losses: Sequence[float], constant: float) -> float:
    """1 − loss ÷ the constant answer's, settled as the held-out result is: 0 for what ignores the input, at most 1."""
    every = law.LOOK_EVERY
    looks = [1 - fmean(losses[at : at + every]) / constant for at in range(0, len(losses) - every + 1, every)]
    now = law.settled(looks) if looks else law.DIVERGED
    return max(law.DIVERGED, now) if math.isfinite(now) else law.DIVERGED
