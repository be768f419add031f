"""``--only-check``: the check of the program's first step, in place of its training.

The program runs up to its first step; what that step trains is checked on a copy, and ``SystemExit`` then ends the program as
its own would. Every further step ends it again, where the program caught that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad._check import check_subject
from steadygrad.copies.copying import unwrapped
from steadygrad.copies.unheard import unheard
from steadygrad.errors import SteadygradError, SubjectError, in_one_line
from steadygrad.launch.first_step import FirstStep
from steadygrad.launch.optimizers import ours_at_work
from steadygrad.objective import has_training_step, with_trainer
from steadygrad.record import Assumption, CheckRecord
from steadygrad.settings import Settings
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.watch import backward, calls


class CheckDone(SystemExit):
    """Ends the program: its first step has been checked, or cannot be."""


class CheckAlone:
    """Waits for the first step of whichever optimizer takes one. ``words`` are the program's.

    ``elsewhere``: this is a process that the program started, where a step ends it unchecked.
    """

    def __init__(self, settings: Settings, words: str, clip: str | None, *, elsewhere: bool = False) -> None:
        self.outcome: CheckRecord | SteadygradError | None = None
        """The record, or why there is none; None before the first step."""
        self._settings, self._words, self._clip = settings, words, clip
        self._steps: list[FirstStep] = []
        self._process = -1 if elsewhere else os.getpid()
        self._busy = False

    def expect(self, optimizer: Any, models: Sequence[nn.Module], guard_of: Callable[[], Any]) -> None:
        """Note an optimizer that the program made, and the models that it trains."""
        if len(models) == 1:
            step = FirstStep(models[0], optimizer, guard_of, self._clip, lambda: self._check(step), unseen_too=True)
            self._steps.append(step)

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from."""
        if self._busy:
            return
        for step in self._steps:
            step.backward(loss)

    def before_step(self, optimizer: Any) -> None:
        """Note that an optimizer is about to take a step."""
        if self._busy or ours_at_work(sys._getframe(1)):
            return
        if self.outcome is not None:
            raise CheckDone
        if os.getpid() != self._process:
            self._end(SubjectError("only the process that was started is checked"))
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if together and torch.distributed.get_world_size() > 1:
            self._end(SubjectError("several processes train together; run one alone to have its first step checked"))
        if not any(step.optimizer is optimizer for step in self._steps):
            name = type(optimizer).__name__
            self._end(
                SubjectError(
                    f"the first step is one of {name}, which does not train the parameters of one torch.nn.Module; check "
                    "the model alone with steadygrad check FILE.py:NAME"
                )
            )
        for step in self._steps:
            step.before_step(optimizer)

    def close(self) -> None:
        """Let go of what the program made."""
        self._steps = []

    def _check(self, step: FirstStep) -> None:
        self._busy = True
        try:
            self._end(self._checked(step))
        except SteadygradError as error:
            self._end(error)
        except torch.OutOfMemoryError:
            self._end(
                SubjectError("the device's memory is not enough for a copy; run the program with a smaller batch")
            )
        except Exception as error:
            self._end(SubjectError(f"the first step cannot be checked on a copy ({in_one_line(error)})"))
        finally:
            self._busy = False

    def _checked(self, step: FirstStep) -> CheckRecord:
        trainer = getattr(unwrapped(step.model), "_trainer", None)
        with unheard(), calls.paused(), backward.paused(), with_trainer(trainer):
            subject = self._subject(step, trainer)
            return check_subject(subject, trial=self._settings.trial, settings=self._settings)

    def _subject(self, step: FirstStep, trainer: Any) -> Subject:
        cast = ", without its autocast" if step.batch.autocast else ""
        said = Assumption("file", f"the first step of {self._words}{cast}", by_default=False)
        more: dict[str, Any] = {"seed": self._settings.seed, "target": self._words, "said": said}
        own = unwrapped(step.model)
        if not step.batch.seen and trainer is not None and has_training_step(own):
            # Its parts are called, it itself is not: its step is what trains.
            return make_subject(
                own,
                trainer.train_dataloader,
                optimizer=step.optimizer,
                before_step=step.clip_hook(),
                **more,
            )
        try:
            return step.subject(**more)
        except SubjectError as error:
            raise SubjectError(
                f"the first step cannot be checked on a copy: {error}; next: steadygrad run {self._words}, which watches it"
            ) from error

    def _end(self, outcome: CheckRecord | SteadygradError) -> None:
        self.outcome = outcome
        raise CheckDone(2 if isinstance(outcome, SteadygradError) else 0)
