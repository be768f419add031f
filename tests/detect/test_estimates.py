"""Blocks of updates, estimated or measured exactly: which are judged step by step, and what is usual after them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.detect.updates import Traits, judge_updates
from steadygrad.record.rows import Estimates, Updates
from tests.detect.made import warm
from tests.detect.updating import QUIET, THREE, ran, updated

NAN, INF = math.nan, math.inf


def block(
    state: State, ratios: list[list[float]], *, exact: tuple[Updates, ...] = (), leapt_at: int = 0, **given: Any
) -> list[Symptom]:
    begin = state.moves[-1][0] + 1 if state.moves else 61
    steps = np.arange(begin, begin + len(ratios))
    rates = np.full(len(steps), given.pop("rate", 0.125))
    estimates = Estimates(steps, rates, np.array([8.0, 3.0, math.sqrt(192)]), np.array(ratios))
    traits = Traits(False, given.pop("beta2", None))
    at = given.pop("at", lambda step: (1.0, 9.0))
    return judge_updates(state, exact, estimates, leapt_at=leapt_at, at=at, traits=traits)


@pytest.mark.parametrize(("steps", "told"), [(16, False), (17, True)])
def test_of_quiet_estimates_one_in_eight_says_what_is_usual(steps: int, told: bool) -> None:
    """Three usual updates are needed: those of the first, the ninth and the seventeenth step."""
    state = warm(THREE)
    assert block(state, [[QUIET] * 3] * steps) == []
    assert bool(updated(state, 100, [0.31] * 3)) == told


@pytest.mark.parametrize(("ratio", "judged"), [(0.1, False), (0.11, True)])
def test_estimates_are_judged_step_by_step_where_one_is_large(ratio: float, judged: bool) -> None:
    """Two of them are judged: then three updates are known to be usual, and the fourth is compared with them."""
    state = ran(1)
    state.leap = (63, 0.125, 1.0)
    found = block(state, [[QUIET] * 3, [QUIET] * 3, [ratio, QUIET, QUIET]], leapt_at=63)
    assert [one.step for one in found] == [63] * judged


def test_a_step_that_was_measured_exactly_is_not_judged_by_its_estimate() -> None:
    state = ran()
    exact = Updates(62, np.array([8.0, 3.0, 8.0]), np.array([QUIET] * 3), True, 0.125)
    assert block(state, [[QUIET] * 3, [0.9] * 3], exact=(exact,)) == []
    (one,) = block(ran(), [[QUIET] * 3, [0.9] * 3])
    assert (one.step, one.slack) == (62, 0)


def test_each_measured_step_is_remembered_once() -> None:
    state = ran()
    exact = Updates(63, np.array([8.0, 3.0, 8.0]), np.array([QUIET] * 3), True, 0.125)
    assert block(state, [[QUIET] * 3] * 3, exact=(exact,)) == []
    assert [step for step, _ in state.moves] == [58, 59, 60, 61, 62, 63]


def test_an_estimate_that_is_not_finite_is_told() -> None:
    assert [one.code for one in block(ran(), [[QUIET] * 3, [NAN] * 3])] == ["SG203"]


def test_the_updates_of_exact_steps_are_judged_without_estimates() -> None:
    state = ran()
    steps = [Updates(step, np.array([8.0, 3.0, 8.0]), np.array([0.5] * 3), True, 0.125) for step in (63, 62)]
    traits = Traits(False, None)
    found = judge_updates(state, steps, None, leapt_at=0, at=lambda step: (1.0, 9.0), traits=traits)
    assert [one.step for one in found] == [62, 63]


@pytest.mark.parametrize(("beta2", "codes"), [(None, []), (0.999, ["SG204"])])
def test_the_lengths_of_steps_are_judged_where_the_optimizer_has_a_second_moment(
    beta2: float | None, codes: list[str]
) -> None:
    found = block(ran(), [[0.09] * 3] * 5, rate=0.03, beta2=beta2)
    assert [one.code for one in found] == codes
