"""A set-up of the truth table as data: everything that decides what training does, and nothing that is measured.

Two rows with one ``key`` are the same set-up; what a row says of its cause is no part of the key. Knows no torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

Options = tuple[tuple[str, Any], ...]
"""Keyword arguments, sorted by name."""


def options(**given: Any) -> Options:
    return tuple(sorted(given.items()))


@dataclass(frozen=True)
class Row:
    """One set-up. ``model`` names a builder of ``bench.corpus.models``, ``task`` a task of ``bench.corpus.tasks``."""

    model: str
    task: str
    parameters: Options = ()
    """Of the builder, beyond the sizes that the task gives."""
    loss: str = ""
    """A name of ``bench.corpus.losses``; "" = the task's own."""
    optimizer: str = "adam"
    """A name of ``bench.corpus.losses``; "" where the set-up brings its own, as its rate, loss and batches."""
    rate: float = 1e-3
    optimizer_options: Options = ()
    batch: int = 32
    inputs: float = 1.0
    """Factor on the standardised input; 0 = as measured, where the task has such a form."""
    dtype: str = "float32"
    steps: float = 1.0
    """Training budget as a share of the task's: below 1 for nets so deep that a step costs a hundred plain ones."""
    seed: int = 0
    """Of the first training; the next two follow."""
    cause: tuple[str, ...] = ()
    """Rule codes that name what is wrong, any of them right; empty where nothing was broken on purpose."""
    line: str = ""
    """Text of the expression at fault, where there is one."""
    twin: str = ""
    """Key of the row that is one change away and meant to train."""

    @property
    def family(self) -> str:
        """Kind of architecture × task: what the split keeps together."""
        return f"{self.model}/{self.task}"

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that stand for the set-up."""
        told = [
            *(self.model, self.task, self.parameters, self.loss, self.optimizer, self.rate, self.optimizer_options),
            *(self.batch, self.inputs, self.dtype, self.steps, self.seed),
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """In words: "mlp/digits depth=10 activation=tanh adam 0.001"."""
        words = [self.family, *(f"{name}={value}" for name, value in self.parameters)]
        words += [self.loss] if self.loss else []
        words += [self.optimizer, f"{self.rate:g}"] if self.optimizer else []
        words += [*(f"{name}={value}" for name, value in self.optimizer_options)]
        words += [f"batch={self.batch}"] if self.batch != 32 else []
        words += [f"inputs={self.inputs:g}" if self.inputs else "inputs=raw"] if self.inputs != 1.0 else []
        words += [self.dtype] if self.dtype != "float32" else []
        return " ".join(words)

    def but(self, *, parameters: dict[str, Any] | None = None, **changes: Any) -> Row:
        """The same set-up with changes; parameters are added to those there are."""
        merged = options(**{**dict(self.parameters), **(parameters or {})})
        return replace(self, parameters=merged, **changes)

    def broken(self, *causes: str, line: str = "", parameters: dict[str, Any] | None = None, **changes: Any) -> Row:
        """This row with one change that is meant to stop it from training; this row is its twin."""
        return self.but(parameters=parameters, cause=causes, line=line, twin=self.key, **changes)
