"""How a case of the suite is checked: built from its seed as a loader would build it, then ``steadygrad.check``."""

from __future__ import annotations

from collections.abc import Callable

import torch

import steadygrad
from bench.suite.case import SEED, Made
from steadygrad.source.spans import recording_constructions


def examine(make: Callable[[], Made], *, trial: int | None = None) -> steadygrad.Report:
    """The report on one set-up."""
    torch.manual_seed(SEED)
    with recording_constructions():
        made = make()
    return steadygrad.check(made.model, made.batch, made.loss_fn, optimizer=made.optimizer, trial=trial)
