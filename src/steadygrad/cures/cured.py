"""The result of a cure: the cured copy with its optimizer, and the record of how it came about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from steadygrad.record import CureRecord
from steadygrad.report import cured_page
from steadygrad.report.cured import render
from steadygrad.written import in_short


@dataclass(frozen=True)
class Cured(CureRecord):
    """A cured copy, and the record of how it came about. ``print(cured)`` shows the table; a notebook shows it by itself."""

    model: nn.Module = field(repr=False, kw_only=True)
    """A new module; the one passed in is untouched."""
    optimizer: torch.optim.Optimizer = field(repr=False, kw_only=True)
    """Same class and options, on the new parameters, with a learning rate that was step-tested."""
    loss_fn: Callable[..., Any] | None = field(default=None, repr=False, kw_only=True)
    """Another loss, where that was a part of the cure; None = the one given."""

    def __repr__(self) -> str:
        """Return the verdicts before and after, on one line."""
        after = f"{self.before.verdict.value} → {self.after.verdict.value}"
        return f"<Cured: {after}, {in_short(self.words)}; .model is the cured copy, print this to see what was tried>"

    def __str__(self) -> str:
        """Return the report."""
        return render(self)

    def _repr_html_(self) -> str:
        return cured_page.fragment(self)

    def translate(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """An old checkpoint of the model under the new names; what it lacks is filled in from the cured model."""
        names = dict(pair for change in self.changes for pair in change.keys)
        removed = {key for change in self.changes for key in change.removed}
        old = {names.get(key, key): value for key, value in state.items() if key not in removed}
        return {**self.model.state_dict(), **old}
