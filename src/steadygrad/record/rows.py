"""Some steps of one optimizer as plain arrays: what the pulse writes, the policy judges and the journal keeps. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ABSENT = -1.0
"""In a row: this parameter had no gradient."""


@dataclass(frozen=True)
class Rows:
    """Some steps as they were read: ``steps (k,)``, ``times (k,)``, ``norms (k, parameters)``, ``factors (k,)``, ``rates (k,)``.

    A norm is NaN where the gradient is NaN, infinite where it overflowed, ``ABSENT`` where there was none. ``factors`` are
    what the clip multiplied by, 1 where nothing was clipped. Times are seconds since the epoch.
    """

    steps: np.ndarray[Any, np.dtype[np.int64]]
    times: np.ndarray[Any, np.dtype[np.float64]]
    norms: np.ndarray[Any, np.dtype[np.float32]]
    factors: np.ndarray[Any, np.dtype[np.float32]]
    rates: np.ndarray[Any, np.dtype[np.float32]]

    def __len__(self) -> int:
        return len(self.steps)


def totals(norms: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The norm of all gradients together, for each row; absent ones count as 0, and one that is not finite shows."""
    present = np.where(norms == ABSENT, 0.0, norms).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        found: np.ndarray[Any, Any] = np.sqrt(np.square(present).sum(axis=1))
    return found
