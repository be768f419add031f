"""From a row to something that can be trained and scored, whatever the row is made of.

Most rows are put together from a builder and a task; cases and files that users added bring their
own code. What comes out is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.corpus import from_cases, from_file, law
from bench.corpus.make import budget, make, sets, task_of
from bench.corpus.prepared import Prepared
from bench.corpus.row import Row


def generated(row: Row, seed: int) -> Prepared:
    """A row made of a builder and a task."""
    made, task, data = make(row, seed), task_of(row), sets(row)
    return Prepared(
        made,
        lambda: law.score(task, made.model, data.held_x, data.held_y),
        budget(row),
        task.learnable if made.loss_fn is not None else None,
    )


SOURCES: dict[str, Callable[[Row, int], Prepared]] = {
    from_cases.MODEL: from_cases.prepare,
    from_file.MODEL: from_file.prepare,
}


def prepare(row: Row, seed: int | None = None) -> Prepared:
    """The row's set-up, drawn from ``seed`` (the row's own when None)."""
    seed = row.seed if seed is None else seed
    torch.manual_seed(seed)
    return SOURCES.get(row.model, generated)(row, seed)
