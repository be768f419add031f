"""From a row to a set-up that can be trained and checked: model, batches, loss, optimizer.

Build under ``torch.manual_seed``: the weights are drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.corpus.case import Made
from bench.corpus.losses import LOSSES, optimizer_of
from bench.corpus.models import build
from bench.corpus.row import Row
from bench.corpus.tasks import HIDDEN, TASKS, Task

LOOKED_AT = 256
"""Held-out samples that a look at the result takes, at most."""


@dataclass(frozen=True)
class Sets:
    """What is trained on and what is held out, as the row wants it."""

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor


def sets(row: Row) -> Sets:
    """The task's data, scaled and cast. The last fifth is held out; of a graph, the last fifth of the nodes' answers."""
    task = TASKS[row.task]
    x, y = (task.raw if row.inputs == 0 and task.raw is not None else task.data)()
    dtype = getattr(torch, row.dtype)
    if x.is_floating_point():
        x = (x * row.inputs if row.inputs else x).to(dtype)
    if y.is_floating_point():
        y = y.to(dtype)
    seen = len(x) - len(x) // 5
    if task.whole:
        known, asked = y.clone(), y.clone()
        known[seen:], asked[:seen] = HIDDEN, HIDDEN
        return Sets(x, known, x, asked)
    return Sets(x[:seen], y[:seen], x[seen:][:LOOKED_AT], y[seen:][:LOOKED_AT])


def make(row: Row, seed: int | None = None) -> Made:
    """The set-up of a row. The order of the samples follows ``seed`` (the row's own when None), as the weights do."""
    task, data = TASKS[row.task], sets(row)
    order = row.seed if seed is None else seed
    model = build(row.model, task.inputs, task.outputs, **dict(row.parameters)).to(getattr(torch, row.dtype))
    loss = row.loss or task.loss

    def batch(step: int) -> Any:
        if task.whole:
            return data.x, data.y
        rows = torch.randperm(len(data.x), generator=torch.Generator().manual_seed(order * 1_000_003 + step))
        rows = rows[: row.batch]
        return data.x[rows] if loss == "own" else (data.x[rows], data.y[rows])

    held: Any = data.held_x if loss == "own" else (data.held_x, data.held_y)
    optimizer = optimizer_of(row, model.parameters())
    return Made(model, batch(0), LOSSES.get(loss), optimizer, batch, lambda: held)


def budget(row: Row) -> int:
    """Optimizer steps of one training; small batches get more of them."""
    more = 2.0 if row.batch < 4 else 1.5 if row.batch < 16 else 1.0
    return round(TASKS[row.task].steps * row.steps * more)


def task_of(row: Row) -> Task:
    return TASKS[row.task]
