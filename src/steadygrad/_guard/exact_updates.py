"""The steps of one optimizer whose updates are measured exactly, and the results: the first, then some, within a budget.

Judges nothing, and reads no clock: whoever calls says what time it is, and how long it took.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from steadygrad.record.rows import Updates
from steadygrad.watch.budget import Budget
from steadygrad.watch.updates import Sample

EVERY = 100
"""Steps between two exact updates, at least."""
RETRY = 8
"""Steps after which one that the budget did not allow is tried again."""
FIRST = 3
"""Steps at the beginning whose updates are all measured exactly."""


class ExactUpdates:
    """Of one optimizer."""

    def __init__(self, budget: Budget) -> None:
        self.next = 1
        """The next step that is due."""
        self.open: Sample | None = None
        """Of the step at hand, where it is measured."""
        self._budget = budget
        self._start_at = 0
        self._measured: list[Sample] = []

    def allowed(self, step: int, now: float) -> bool:
        """Return whether ``step``, which is due, is measured; put it off where the budget does not allow it yet."""
        if step <= FIRST or self._budget.allows("updates", now):
            return True
        self.next = step + RETRY
        return False

    def begin(self, parameters: Sequence[Tensor], step: int, rate: float) -> None:
        """Keep the weights before the step."""
        self.open = Sample.of(list(parameters), step, rate, self._start_at)
        self._start_at = (self.open.columns[-1] + 1) % len(parameters)

    def end(self) -> bool:
        """Measure after the step; return whether the result can be read without waiting."""
        sample, self.open = self.open, None
        assert sample is not None
        sample.finish()
        self.rest_from(sample.step)
        self._measured.append(sample)
        return sample.on_host

    def rest_from(self, step: int) -> None:
        """Finish this step."""
        self.next = step + (1 if step < FIRST else EVERY)

    def read(self) -> list[Updates]:
        """Return the measurements since the last call. Waits for the device."""
        measured, self._measured = self._measured, []
        return [one.read() for one in measured]

    def restart(self) -> None:
        """Forget what was kept: the parameters are others now."""
        self._start_at, self.open, self._measured = 0, None, []
