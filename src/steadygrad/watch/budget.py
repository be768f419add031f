"""The share of a run's time that watching may take beside its reads: looks and exact updates are put off until it is there.

Counts the seconds it is given; knows no hook and no tensor.
"""

from __future__ import annotations


class Budget:
    """``share``: of the run's time, in (0, 1]. Looks and exact updates divide it: ``SAMPLES`` of it is for exact updates."""

    SAMPLES = 0.25

    def __init__(self, share: float, now: float) -> None:
        self.share = share
        self._began = now
        self._spent = {"looks": 0.0, "updates": 0.0}

    def spend(self, what: str, seconds: float) -> None:
        """Record the time spent; ``what`` is "looks" or "updates"."""
        self._spent[what] += seconds

    def allows(self, what: str, now: float) -> bool:
        """Return whether what was spent on it so far is within its part of the time since the beginning."""
        part = self.SAMPLES if what == "updates" else 1 - self.SAMPLES
        return self._spent[what] <= part * self.share * (now - self._began)
