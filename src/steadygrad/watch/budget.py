"""How often one optimizer's steps may be read: what reading took so far, against what a step takes and the share allowed.

Counts seconds that it is told; knows no hook, no tensor, and not what a read is for.
"""

from __future__ import annotations

import math

WARMING = 2
"""Steps that tell nothing of the others: buffers are made, models are compiled, for other shapes once more."""
SETTLING = 8
"""Steps that are read then, each, to measure what a read takes."""
AGREE_EVERY = 1024
"""Steps between two settlings, at most: all ranks agree then."""
WIDEST = 1000
"""Longest interval: a fault is seen within so many steps, whatever the budget."""
SAMPLES = 0.25
"""Share of the budget that is for exact updates."""
HOOK = 15e-6
"""Seconds that the call of one hook takes beside what it does, on cold caches: a step that is not read has one, and took 9 to
20 microseconds beside ``bench.guard``'s MLP."""
UNSEEN = 120e-6
"""Seconds that a read takes beside what its own clock sees: that said 240 microseconds where the step took 360 longer, with the
hooks of the model's call and of the loss's gradient, and caches to be filled anew; 300 without these hooks."""
STEADY = 0.25
"""Relative change of an interval that is not worth changing it for."""


class Budget:
    """Of one optimizer. ``share``: of a step's time, in (0, 1].

    It settles over windows of so many reads: ``WARMING`` of them, which count for nothing, ``SETTLING``, then each time four
    times as many.
    """

    def __init__(self, share: float, now: float) -> None:
        self.share = share
        self._window = WARMING
        self._spent, self._reads = 0.0, 0
        self._began, self._began_step = now, 0

    def read(self, seconds: float) -> bool:
        """One more read took so long; gives whether it is time to settle."""
        self._spent += seconds
        self._reads += 1
        return self._reads >= self._window

    def left_out(self, seconds: float) -> None:
        """What is no part of a step, nor of a read."""
        self._began += seconds

    def step_time(self, step: int, now: float) -> float:
        """Seconds that a step takes without being read."""
        return max(1e-9, (now - self._began - self._spent) / max(1, step - self._began_step))

    def add(self, seconds: float) -> None:
        """What else the reads of this window took."""
        self._spent += seconds

    @property
    def known(self) -> bool:
        """Whether this window tells anything: the first does not."""
        return self._window > WARMING

    @property
    def cost(self) -> float:
        """Seconds that a read takes, with what the clock does not see of it."""
        return self._spent / max(1, self._reads) + UNSEEN

    def interval(self, step: int, now: float) -> int:
        """Each how many steps may be read."""
        return _interval(self.cost, (1 - SAMPLES) * self._left(step, now))

    def between_samples(self, seconds: float, step: int, now: float) -> int:
        """Steps between two measurements of exact updates, of which one took so long."""
        return _interval(seconds, SAMPLES * self._left(step, now))

    def _left(self, step: int, now: float) -> float:
        """Seconds a step that watching may take when the hook that each step has is paid, by half of the budget at most."""
        whole = self.share * self.step_time(step, now)
        return max(whole - HOOK, whole / 2)

    def settled(self, step: int, now: float, interval: int) -> None:
        """A new window begins."""
        most = max(SETTLING, AGREE_EVERY // interval)
        self._window = SETTLING if self._window == WARMING else min(4 * self._window, most)
        self._spent, self._reads = 0.0, 0
        self._began, self._began_step = now, step


def steady(before: int, wanted: int) -> bool:
    """Whether two intervals are as good as the same."""
    return abs(wanted - before) <= STEADY * before


def _interval(seconds: float, allowed: float) -> int:
    return min(WIDEST, max(1, math.ceil(seconds / allowed)))
