"""Steps of an optimizer of Adam's kind that are longer than its learning rate: five of ten, from a length of three on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.lengths import judge_lengths
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns, Estimates
from tests.detect.made import warm

TWO = Columns(("a.weight", "b.weight"), (64, 16), (True, True))


def steps(
    state: State, lengths: dict[int, float], *, column: int = 0, rate: float = 0.125, upto: int = 0
) -> list[Symptom]:
    """Judge steps of these lengths in learning rates: weights whose elements are 1 in root mean square."""
    numbers = np.arange(min(lengths), max(upto, *lengths) + 1)
    ratios = np.zeros((len(numbers), 2))
    ratios[:, column] = [lengths.get(int(step), 0.0) * rate for step in numbers]
    estimates = Estimates(numbers, np.full(len(numbers), rate), np.array([8.0, 4.0]), ratios)
    return list(judge_lengths(state, estimates, beta2=0.999))


@pytest.mark.parametrize(("length", "column"), [(3.0, 0), (3.0, 1), (5.0, 1)])
def test_the_fifth_step_of_three_learning_rates_is_told_and_the_first_named(length: float, column: int) -> None:
    assert steps(warm(TWO), dict.fromkeys(range(61, 65), length), column=column) == []
    (told,) = steps(warm(TWO), dict.fromkeys(range(61, 66), length), column=column)
    assert (told.code, told.severity, told.kind) == ("SG204", Severity.WARNING, FaultKind.STALE_MOMENT)
    assert (told.step, told.last_step, told.column, told.explained) == (61, 65, column, True)
    assert told.message.startswith(
        f"5 steps from step 61 on move this weight by up to {length:g} times the learning rate"
    )
    assert "exp_avg_sq (beta2 0.999) averages over 1,000 steps" in told.cause


def test_steps_a_little_shorter_are_none() -> None:
    assert steps(warm(TWO), dict.fromkeys(range(61, 90), 2.99)) == []


@pytest.mark.parametrize(("rate", "told"), [(0.0099, False), (0.0101, True)])
def test_long_steps_that_hardly_change_a_weight_are_none(rate: float, told: bool) -> None:
    """Three learning rates of a hundredth of the weight are 3 % of it."""
    assert bool(steps(warm(TWO), dict.fromkeys(range(61, 66), 3.0), rate=rate)) == told


def test_the_longest_names_the_weight() -> None:
    state = warm(TWO)
    assert steps(state, {61: 3.0, 62: 3.0, 63: 3.0}) == []
    assert steps(state, {64: 7.0}, column=1) == []
    (told,) = steps(state, {65: 3.0})
    assert (told.step, told.last_step, told.column) == (61, 65, 1) and "by up to 7 times" in told.message


@pytest.mark.parametrize(("last", "told"), [(70, True), (71, False)])
def test_the_five_are_among_ten_steps(last: int, told: bool) -> None:
    found = steps(warm(TWO), {61: 3.0, 63: 3.0, 65: 3.0, 67: 3.0, last: 3.0})
    assert [one.step for one in found] == [61] * told


def test_long_steps_before_the_named_one_are_not_counted() -> None:
    (told,) = steps(warm(TWO), {61: 9.0, **dict.fromkeys(range(75, 80), 3.0)})
    assert (told.step, told.last_step) == (75, 79)
    assert told.message.startswith("5 steps from step 75 on move this weight by up to 3 times")


@pytest.mark.parametrize(("last", "told"), [(70, True), (71, False)])
def test_the_five_are_among_ten_steps_of_several_blocks(last: int, told: bool) -> None:
    state = warm(TWO)
    assert steps(state, {61: 3.0, 63: 3.0, 65: 3.0, 67: 3.0}, upto=last - 1) == []
    assert [one.step for one in steps(state, {last: 3.0})] == [61] * told


def test_what_was_told_is_told_again_after_five_more() -> None:
    state = warm(TWO)
    assert len(steps(state, dict.fromkeys(range(61, 66), 3.0))) == 1
    assert steps(state, dict.fromkeys(range(66, 70), 3.0)) == []
    assert [one.step for one in steps(state, {70: 3.0})] == [66]


@pytest.mark.parametrize(("rows", "told"), [(49, False), (50, True)])
def test_the_first_steps_of_a_run_may_be_long(rows: int, told: bool) -> None:
    found = steps(warm(TWO, steps=rows), dict.fromkeys(range(rows + 1, rows + 6), 3.0))
    assert bool(found) == told


@pytest.mark.parametrize(("begin", "told"), [(66, False), (67, True)])
def test_steps_within_ten_of_a_leap_of_the_rate_are_long_for_that(begin: int, told: bool) -> None:
    """The rate leapt at step 56: the first long step that counts is 67."""
    state = warm(TWO)
    state.leap = (56, 0.01, 0.1)
    found = steps(state, dict.fromkeys(range(begin, begin + 5), 3.0))
    assert bool(found) == told


def test_what_is_not_known_is_not_long() -> None:
    for rate, weights in ((0.0, [8.0, 4.0]), (0.125, [np.nan, np.inf])):
        estimates = Estimates(np.arange(61, 71), np.full(10, rate), np.array(weights), np.ones((10, 2)))
        assert list(judge_lengths(warm(TWO), estimates, beta2=0.9)) == []
    none = Estimates(np.arange(0), np.zeros(0), np.array([8.0, 4.0]), np.zeros((0, 2)))
    assert list(judge_lengths(warm(TWO), none, beta2=0.9)) == []


@pytest.mark.parametrize(("beta2", "memory"), [(0.95, "averages over 20 steps"), (1.0, "averages over all steps")])
def test_the_memory_of_the_second_moment_is_said(beta2: float, memory: str) -> None:
    lengths: Sequence[float] = [0.375] * 5
    ratios = np.stack([lengths, np.zeros(5)], axis=1)
    estimates = Estimates(np.arange(61, 66), np.full(5, 0.125), np.array([8.0, 4.0]), ratios)
    (told,) = judge_lengths(warm(TWO), estimates, beta2=beta2)
    assert memory in told.cause
