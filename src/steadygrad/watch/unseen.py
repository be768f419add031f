"""Steps that call no hook: torch.compile took ``optimizer.step`` into what it compiles, or somebody put another in its place.

They show by the weights: all that had a gradient were written to between two backward passes. Nothing is read for it but
version counters, and those only until a step has called its hooks, as from then on all of them do.
"""

from __future__ import annotations

import operator
import weakref
from typing import Any

from torch import Tensor

from steadygrad.torch_internals.tensors import versions_of
from steadygrad.watch import losses
from steadygrad.watch.steps import StepWatch

_unhooked: weakref.WeakSet[AllSteps] = weakref.WeakSet()
"""Optimizers whose steps have called no hook so far."""


class AllSteps(StepWatch):
    """The watch of one optimizer, whether its steps call their hooks or not.

    The row of a step that called none is what was read at the end of the backward pass before it. It is closed when the next
    one begins, or when ``look_back`` is called.
    """

    unseen_steps = 0
    _versions_before: tuple[list[Tensor], list[int]] = ([], [])
    """The parameters that had a gradient after the last backward pass, and how often they had been written to."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        _unhooked.add(self)

    def _finish(self) -> None:
        _unhooked.discard(self)
        for other in tuple(_unhooked):
            other.written_by(self)
        super()._finish()

    def written_by(self, other: StepWatch) -> None:
        """Note that another optimizer has taken a step: what it wrote to weights of both is no step of this one."""
        trained, before = self._versions_before
        theirs = set(map(id, other.parameters)) if before else set()
        if any(id(parameter) in theirs for parameter in trained):
            self._versions_before = trained, versions_of(trained)

    def look_back(self) -> None:
        """Close the row of a step that was taken since the last backward pass, where it called no hook."""
        trained, before = self._versions_before
        if self.off or self.hooked or not before or any(map(operator.eq, versions_of(trained), before)):
            return
        self._versions_before = ([], [])
        self.step += 1
        self.unseen_steps += 1
        if self._fresh:
            self.handler.guarded(self._close_unseen)
        self._begin_anew()

    def backward_begins(self, loss: Tensor | None) -> None:
        if not self.hooked:
            self.look_back()
        before = self._losses
        super().backward_begins(loss)
        if before and before is not self._losses and self.scaler is not None and not self.off:
            # The scaler has waited for the device, so that reading the loss does not.
            left_out = losses.total(before)
            self.handler.guarded(lambda: self.handler.left_out(self.step + 1, left_out))

    def backward_ended(self, loss: Tensor | None, scaler: Any) -> None:
        super().backward_ended(loss, scaler)
        if not (self.hooked or self.off) and self._backwards:
            self.handler.guarded(self._step_is_due)

    def before_touch(self) -> None:
        if self.unseen_steps and self.scale is not None:
            self._fresh = False  # A scaler may have taken its factor away since.
        super().before_touch()

    def _step_is_due(self) -> None:
        self.monitor.before()
        if self.unseen_steps:
            if not self._fresh and self.due:
                self._read()
            self.gradients = []  # There will be no step at which to let go of them.
        trained = [p for p in self.parameters if p.grad is not None]
        self._versions_before = trained, versions_of(trained)

    def _close_unseen(self) -> None:
        self._commit()
        self.loop.taken(self.ring.active)
        self.moved = self.monitor.after(self.step, self.rate, at_once=self.at_once)
        self.gradients = []
        self.handler.after_unseen_step()
