"""Set-ups that users added: Python files in ``added/`` with ``setup()``, as ``steadygrad check`` takes it.

``setup()`` returns model, (x, y), loss function and optimizer, where x and y are *all* data; the last fifth is held out and
batches are drawn from the rest. The file may state ``BATCH`` (32), ``STEPS`` (300), ``BEST`` (best known accuracy, or share
of the targets' variance explained; 1.0), ``CAUSE`` (rule codes) and ``LINE`` (the expression at fault).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from bench.corpus import law
from bench.corpus.case import Made
from bench.corpus.make import LOOKED_AT
from bench.corpus.prepared import Prepared
from bench.corpus.row import Row, options
from bench.corpus.tasks import Task

MODEL = "file"
ADDED = Path(__file__).parent / "added"


class SetupFileError(Exception):
    """A file that is no set-up; the message says what it lacks."""


def row_of(path: Path) -> Row:
    """The row of a file in ``added/``. Raises ``SetupFileError``."""
    module = _load(path)
    return Row(
        *(MODEL, path.stem, options(digest=hashlib.sha256(path.read_bytes()).hexdigest()[:12], file=path.name)),
        optimizer="",
        rate=0.0,
        batch=getattr(module, "BATCH", 32),
        cause=tuple(getattr(module, "CAUSE", ())),
        line=getattr(module, "LINE", ""),
    )


def rows() -> Iterator[Row]:
    for path in sorted(ADDED.glob("*.py")):
        yield row_of(path)


def prepare(row: Row, seed: int) -> Prepared:
    """The file's set-up. Raises ``SetupFileError``, and whatever the file itself raises."""
    path = ADDED / dict(row.parameters)["file"]
    module = _load(path)
    model, (x, y), loss_fn, optimizer = _four(module.setup(), path)
    metric = "explained" if y.is_floating_point() else "accuracy"
    best = getattr(module, "BEST", 1.0)
    task = Task(row.task, lambda: (x, y), 0, 0, metric, getattr(module, "STEPS", 300), best)
    seen = len(y) - len(y) // 5
    held = x[seen:][:LOOKED_AT], y[seen:][:LOOKED_AT]

    def batch(step: int) -> Any:
        rows = torch.randperm(seen, generator=torch.Generator().manual_seed(seed * 1_000_003 + step))[: row.batch]
        return x[rows], y[rows]

    made = Made(model, batch(0), loss_fn, optimizer, batch, lambda: held)
    return Prepared(made, lambda: law.score(task, model, *held), task.steps, task.learnable)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"added_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SetupFileError(f"{path} is no Python file; give one with setup()")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "setup", None)):
        raise SetupFileError(f"{path} has no setup(); let it return model, (x, y), loss function, optimizer")
    return module


def _four(told: Any, path: Path) -> Any:
    if not (isinstance(told, tuple) and len(told) == 4 and isinstance(told[1], tuple) and len(told[1]) == 2):
        raise SetupFileError(f"setup() of {path} returns no (model, (x, y), loss function, optimizer)")
    x, y = told[1]
    if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and len(x) == len(y) >= 10):
        raise SetupFileError(f"setup() of {path} gives data that are no two tensors of ten samples or more")
    return told
