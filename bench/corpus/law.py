"""What counts as trained: the rule that turns three trainings into a label, fixed before any row was trained.

A training's *score* is what it took of the way from the best answer that does not look at the input (0) to the best known
(1), and there are two ways to see it. *Learned*: the training objective on fresh batches, 1 − loss ÷ the best constant
answer's, over the same of the best training known (``Task.learnable``). *Held out*: the result on data that are not trained
on, in the task's metric (the commonest class or the mean; ``Task.best``). The score is the greater: a net that learns its
training data and does not generalise has no gradient that vanished, and one that solves what is held out has learned the
objective, whatever the scale of its loss. Both are recorded.

Every ``LOOK_EVERY`` steps the held-out data are looked at, in evaluation mode, and the losses of the steps since are
averaged; what counts is the median of the last three, so that one lucky look decides nothing. A training ends at its
budget, or at a loss that is not finite (score −1), or when three looks in a row stand at ``SOLVED``: what is solved is not
trained on.

*trains*: all three seeds reach ``TRAINS``. *fails*: none passes ``FAILS``. *between*: all else, seeds that disagree
among it. The two marks are the quarters of the way from chance to the best: a net that took less than a quarter of what
there is to learn has not learned the task in a budget in which the reference takes all of it; one that took three
quarters has. They leave a band between them, so wide that a label doesn't hang on the order of additions: a repeat gives
the same one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.corpus.tasks import HIDDEN, Task

REVISION = 2
"""Of this rule."""
HELD_ALONE = 1
"""The rule before, by which the score was the held-out result alone. What trains by it trains by this one; the others count by
it until they are trained again."""

SEEDS = 3
LOOK_EVERY = 20
"""Steps."""
LOOKS = 3
SOLVED = 0.9
TRAINS = 0.75
FAILS = 0.25
DIVERGED = -1.0
"""Score of a training whose loss stopped being finite; no score is lower."""

LABELS = ("trains", "fails", "between", "crashed")


def label(scores: Sequence[float]) -> str:
    """The label of a set-up whose trainings ended with ``scores``."""
    if min(scores) >= TRAINS:
        return "trains"
    return "fails" if max(scores) <= FAILS else "between"


def settled(looks: Sequence[float]) -> float:
    """Score of a training from its looks, in the order they were taken."""
    return statistics.median(looks[-LOOKS:])


def solved(looks: Sequence[float]) -> bool:
    return len(looks) >= LOOKS and min(looks[-LOOKS:]) >= SOLVED


def scores(held: Sequence[float], learned: Sequence[float], learnable: float) -> tuple[float, ...]:
    """Of each training, from both ways to see it; ``learned`` is empty where a set-up makes its own loss."""
    shares = [max(DIVERGED, round(one / learnable, 4)) for one in learned] or [DIVERGED] * len(held)
    return tuple(max(one, share) for one, share in zip(held, shares, strict=True))


def score(task: Task, model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The model's result on held-out data, between chance (0) and the best known (1); at least ``DIVERGED``."""
    result, chance = measure(task, model, x, y), chance_of(task, y)
    if not math.isfinite(result):
        return DIVERGED
    return max(DIVERGED, (result - chance) / (task.best - chance))


def chance_of(task: Task, y: Tensor) -> float:
    """What an answer that ignores the input gets, in the task's metric."""
    if task.metric != "accuracy":
        return 0.0
    counted = y[y != HIDDEN]
    return float(torch.bincount(counted.reshape(-1)).max()) / counted.numel()


def measure(task: Task, model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The model's result on held-out data in the task's metric, looked at in evaluation mode and without a trace."""
    training = model.training
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        result = _measured(task, model, x, y)
    model.train(training)
    return result


def _measured(task: Task, model: Any, x: Tensor, y: Tensor) -> float:
    if task.metric == "samples":
        return 1.0 - _energy(model.sample(len(x)).float(), x.float()) / _energy(
            x.float().mean(0, keepdim=True), x.float()
        )
    if task.metric == "accuracy":
        counted = y != HIDDEN
        return float((model(x).argmax(1) == y)[counted].float().mean())
    output = model.reconstruct(x) if task.loss == "own" else model(x)
    target, output = (x if task.loss == "own" else y).double(), output.double()
    return 1.0 - float(((output - target) ** 2).mean() / ((target - target.mean(0)) ** 2).mean())


def _energy(a: Tensor, b: Tensor) -> float:
    """Energy distance of two samples (Székely & Rizzo 2013)."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())
