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
from steadygrad.clip.hook import hook_for
from steadygrad.clip.spec import Clip
from steadygrad.copies.copying import unwrapped
from steadygrad.copies.unheard import unheard
from steadygrad.errors import SteadygradError, UserCodeError, in_one_line
from steadygrad.launch.first_batch import FirstBatch
from steadygrad.launch.second_verdict import Answered, Mean, SecondVerdict
from steadygrad.record import CheckRecord, Finding, Location, Verdict
from steadygrad.rules import thresholds
from steadygrad.subject.subject import make_subject
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
        self._guard_of, self._clip, self._say = guard_of, clip, say
        self._first = FirstBatch(model)
        self._done = self._in_closure = False
        self._second: SecondVerdict | None = None

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from."""
        if self._second is not None and not self._second.done:
            self._second.backward(loss)
        if not self._done:
            self._first.backward(loss)
            if self._in_closure and self._first.seen:
                self._check_now()

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Note that an optimizer is about to take a step; no hook of its own has been called yet."""
        if self._first.seen:
            self._first.leave()
        if optimizer is self._optimizer and self._second is not None and not self._second.done:
            self._second.before_step()
        if self._done or optimizer is not self._optimizer:
            return
        if self._first.seen:
            self._check_now()
        else:
            # The step is given a closure, which goes forward and backward: that is the time, before anything is changed.
            self._in_closure = True

    def close(self) -> None:
        """Note that the program is over."""
        if self._second is not None:
            self._second.close()

    def _check_now(self) -> None:
        self._done = True
        self._first.leave()
        try:
            record = self._check()
        except Exception as error:
            # The guard's own look reports on this step; our check never ends a program.
            told = isinstance(error, SteadygradError) and not isinstance(error, UserCodeError)
            why = str(error) if told else in_one_line(error)
            if (guard := self._guard_of()) is not None:
                guard.looking.cut = self._first.cut()
            self._say(f"first step: not checked on a copy ({why}); its gradient alone is looked at")
            self._first.forget()
            return
        guard = self._guard_of()
        if record is not None and guard is not None:
            guard.looking.first = record
            self._second = self._judged_later(record)
        self._first.forget()

    def _check(self) -> CheckRecord | None:
        if self._first.autocast or _compiled(self._model):
            return None
        batch, loss_fn = self._first.batch_and_loss()
        clip = hook_for(self._clip_at_hand())
        if clip is not None:
            clip.location = self._clip_place()
        subject = make_subject(
            unwrapped(self._model),
            batch,
            loss_fn,
            optimizer=self._optimizer,
            before_step=clip,
        )
        with unheard(), calls.paused(), backward.paused():
            return check_subject(subject, trial=thresholds.STEPS)

    def _judged_later(self, record: CheckRecord) -> SecondVerdict | None:
        """Make the judge of the coming steps, where batches come from a loader and each sample has a target."""
        if self._in_closure or record.trial is None or record.verdict is Verdict.WILL_NOT_TRAIN or not loader_at_work():
            return None
        try:
            at_first = Answered(self._first, Mean())
        except Exception:
            return None

        def tell(found: list[Finding]) -> None:
            guard = self._guard_of()
            if guard is not None:
                by_rules.tell(guard, found)

        return SecondVerdict(self._model, self._optimizer, record, at_first, tell)

    def _clip_place(self) -> Location | None:
        guard = self._guard_of()
        return None if guard is None else guard.optimizers[0].watch.loop.clip_place

    def _clip_at_hand(self) -> Clip | str | None:
        """Return the model that the program has just called, else the guard's own."""
        guard = self._guard_of()
        clips = guard.optimizers[0].watch.clips if guard is not None else []
        trainer = getattr(unwrapped(self._model), "_trainer", None)
        bound = getattr(trainer, "gradient_clip_val", None)
        if bound:  # Lightning's trainer clips between backward and step, inside of the closure.
            by_value = "value" in str(getattr(trainer, "gradient_clip_algorithm", ""))
            return Clip.value(-float(bound), float(bound)) if by_value else Clip.norm(float(bound))
        if not clips:
            return self._clip
        bound = clips[-1].bound
        return Clip.norm(bound) if clips[-1].kind == "norm" else Clip.value(-bound, bound)


def _compiled(model: nn.Module) -> bool:
    return any(is_compiled_in_place(module) for module in model.modules())
