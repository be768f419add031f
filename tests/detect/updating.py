"""Updates by hand: a step that changes each of three parameters by so much of its norm."""

from __future__ import annotations

import math

import numpy as np

from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.detect.updates import judge_update
from steadygrad.record.rows import Columns, Updates
from tests.detect.made import warm

THREE = Columns(("a.weight", "a.bias", "b.weight"), (64, 8, 192), (True, False, True), fan_ins=(64, 0, 64))
QUIET = 0.01


def updated(
    state: State,
    step: int,
    ratios: list[float],
    *,
    weights: list[float] | None = None,
    exact: bool = True,
    rate: float = 0.125,
    leapt: bool = False,
    loss: float = 1.0,
    total: float | None = None,
    may_rest: bool = False,
    still: dict[int, float] | None = None,
) -> list[Symptom]:
    """Judge the update of one step; the weights' elements are 1 in root mean square, and the gradient is usual."""
    one = Updates(step, np.array(weights or [8.0, 3.0, math.sqrt(192)]), np.array(ratios), exact, rate, still or {})
    total = float(state.median[-1]) if total is None else total
    return judge_update(state, one, leapt=leapt, loss=loss, total=total, may_rest=may_rest)


def ran(measured: int = 3, quiet: float = QUIET, *, steps: int = 60) -> State:
    """A warm run whose last steps changed each weight by so much of its norm."""
    state = warm(THREE, steps=steps)
    for step in range(steps - measured + 1, steps + 1):
        assert updated(state, step, [quiet] * 3) == []
    return state
