"""A subject on a copy of itself: the one way to run or step what the user gave, without a mark on it.

May rely on copies and on the subject. Must not know what is measured there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from steadygrad.copies.copying import Copied, on_copy
from steadygrad.errors import SubjectError
from steadygrad.objective import Objective
from steadygrad.subject.subject import Subject


@dataclass(frozen=True)
class SubjectCopy:
    """The copies of model, optimizer and loss, and the subject that they were made from."""

    subject: Subject
    copied: Copied
    objective: Objective
    """(model, batch) → (loss, output), with the copy of the loss."""

    @property
    def model(self) -> nn.Module:
        return self.copied.model

    @property
    def batch(self) -> Any:
        return self.subject.batch

    @property
    def seed(self) -> int:
        return self.subject.seed

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Raises ``SubjectError`` where the user's could not be copied."""
        if self.copied.optimizer is None:
            raise SubjectError("the optimizer cannot be copied, so no step can be taken on a copy of the model")
        return self.copied.optimizer


@contextmanager
def with_copy(subject: Subject, *, optimizer: bool = True) -> Iterator[SubjectCopy]:
    """Work on a copy; on leaving, everything of the user's is as it was, also after an exception.

    ``optimizer``: whether steps are taken, for which it is copied too.
    """
    with on_copy(subject.model, subject.optimizer if optimizer else None, subject.loss_module) as copied:
        yield SubjectCopy(subject, copied, copied.objective_for(subject.objective))
