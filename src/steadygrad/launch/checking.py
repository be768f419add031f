"""The check of a run's first step, on a copy, with the batch, loss and optimizer at hand.

Ten steps are taken on the copy, with the clip that the loop has. Where the loss cannot be played again that is said, and under
autocast, in compiled models, or where several models or processes train together there is no check: the guard's own look at
the first step is then reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad._check import check_subject
from steadygrad._guard import by_rules
from steadygrad.copies.unheard import unheard
from steadygrad.errors import SteadygradError, UserCodeError, in_one_line
from steadygrad.launch.first_step import FirstStep
from steadygrad.launch.second_verdict import Answered, Mean, SecondVerdict
from steadygrad.record import CheckRecord, Finding, Verdict
from steadygrad.rules import thresholds
from steadygrad.torch_internals.compiling import is_compiled_in_place
from steadygrad.torch_internals.held import loader_at_work
from steadygrad.watch import backward, calls


class CheckAtStart:
    """Waits for the first step of one optimizer, and checks what it trains, once. Never raises into the program.

    ``guard_of`` gives the optimizer's guard, which knows the clip of the loop and is given the record; ``clip`` is the
    guard's own, in words. ``say`` takes a line for the user.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        guard_of: Callable[[], Any],
        clip: str | None,
        say: Callable[[str], None],
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._guard_of, self._say = guard_of, say
        self._step = FirstStep(model, optimizer, guard_of, clip, self._check_now)
        self._second: SecondVerdict | None = None

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from."""
        if self._second is not None and not self._second.done:
            self._second.backward(loss)
        self._step.backward(loss)

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Note that an optimizer is about to take a step; no hook of its own has been called yet."""
        if optimizer is self._optimizer and self._second is not None and not self._second.done:
            self._second.before_step()
        self._step.before_step(optimizer)

    def close(self) -> None:
        """Note that the program is over."""
        if self._second is not None:
            self._second.close()

    def _check_now(self) -> None:
        first = self._step.batch
        try:
            record = self._check()
        except Exception as error:
            # The guard's own look reports on this step; our check never ends a program.
            told = isinstance(error, SteadygradError) and not isinstance(error, UserCodeError)
            why = str(error) if told else in_one_line(error)
            if (guard := self._guard_of()) is not None:
                guard.looking.cut = first.cut()
            self._say(f"first step: not checked on a copy ({why}); its gradient alone is looked at")
            first.forget()
            return
        guard = self._guard_of()
        if record is not None and guard is not None:
            guard.looking.first = record
            self._second = self._judged_later(record)
        first.forget()

    def _check(self) -> CheckRecord | None:
        if self._step.batch.autocast or _compiled(self._model):
            return None
        subject = self._step.subject()
        with unheard(), calls.paused(), backward.paused():
            return check_subject(subject, trial=thresholds.STEPS)

    def _judged_later(self, record: CheckRecord) -> SecondVerdict | None:
        """Make the judge of the coming steps, where batches come from a loader and each sample has a target."""
        if (
            self._step.in_closure
            or record.trial is None
            or record.verdict is Verdict.WILL_NOT_TRAIN
            or not loader_at_work()
        ):
            return None
        try:
            at_first = Answered(self._step.batch, Mean())
        except Exception:
            return None

        def tell(found: list[Finding]) -> None:
            guard = self._guard_of()
            if guard is not None:
                by_rules.tell(guard, found)

        return SecondVerdict(self._model, self._optimizer, record, at_first, tell)


def _compiled(model: nn.Module) -> bool:
    return any(is_compiled_in_place(module) for module in model.modules())
