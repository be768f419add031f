"""A step's update: too large for the weights, none at all, rounded away, or not a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.detect.updates import Traits, traits_of
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns
from tests.detect.made import then, warm
from tests.detect.updating import QUIET, THREE, ran, updated

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("defaults", "traits"),
    [
        ({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}, Traits(False, 0.999)),
        ({"lr": 1e-3, "betas": [0.9, 0.95], "eps": 1e-8}, Traits(False, 0.95)),
        ({"lr": 1e-4, "betas": (0.9, 0.99)}, Traits(False, None)),
        ({"lr": 1e-4, "betas": (0.9, 0.99, 0.999), "eps": 1e-8}, Traits(False, None)),
        ({"lr": 0.1, "momentum": 0.9}, Traits(False, None)),
        ({"lr": 1.0, "tolerance_change": 1e-9}, Traits(True, None)),
    ],
)
def test_the_settings_of_an_optimizer_say_what_its_steps_are_like(defaults: Mapping[str, Any], traits: Traits) -> None:
    assert traits_of(defaults) == traits


@pytest.mark.parametrize(
    ("quiet", "ratio", "leapt", "told"),
    [
        (0.01, 0.3, False, False),
        (0.01, 0.31, False, True),
        (0.04, 0.39, False, False),
        (0.04, 0.41, False, True),
        (0.005, 0.1, True, False),
        (0.005, 0.11, True, True),
        (0.011, 0.105, True, False),
    ],
)
def test_an_update_is_too_large_above_three_tenths_of_the_weight_and_ten_times_the_usual(
    quiet: float, ratio: float, leapt: bool, told: bool
) -> None:
    """Where the learning rate has just leapt, above one tenth."""
    state = ran(quiet=quiet)
    state.leap = (61, 0.125, 1.0)
    found = updated(state, 61, [quiet, quiet, ratio], leapt=leapt)
    assert bool(found) == told
    if told:
        (one,) = found
        assert (one.code, one.severity, one.step, one.last_step) == ("SG204", Severity.ERROR, 61, 61)
        assert (one.column, one.columns, one.slack) == (2, (2,), 0)
        assert one.kind is (FaultKind.RATE if leapt else FaultKind.MOMENTS)


def test_an_update_of_a_bias_is_not_judged() -> None:
    assert updated(ran(), 61, [QUIET, 5.0, QUIET]) == []


def test_the_largest_of_several_names_the_weight() -> None:
    (one,) = updated(ran(), 61, [0.5, 3.0, 0.8])
    assert (one.column, one.columns) == (2, (0, 2))
    assert one.message == "one step changes this weight by 0.8 times its norm, ×80 the usual update"


@pytest.mark.parametrize(
    ("total", "kind"), [(0.49, FaultKind.MOMENTS), (-0.49, FaultKind.MOMENTS), (0.51, FaultKind.UNKNOWN)]
)
def test_a_large_update_of_a_usual_gradient_comes_from_the_moments(total: float, kind: FaultKind) -> None:
    state = ran()
    (one,) = updated(state, 61, [0.5, 0.5, 0.5], total=float(state.median[-1]) + total)
    assert one.kind is kind and ("exp_avg" in one.cause) == (kind is FaultKind.MOMENTS)


def test_a_large_update_after_a_leap_of_the_rate_says_so() -> None:
    state = ran()
    state.leap = (61, 0.125, 1.0)
    (one,) = updated(state, 66, [0.5] * 3, leapt=True)
    assert (one.kind, one.cause, one.slack) == (FaultKind.RATE, "the learning rate jumped from 0.125 to 1", 0)


def test_steps_that_were_not_measured_before_it_leave_its_beginning_open() -> None:
    assert [one.slack for one in updated(ran(), 61, [0.5] * 3)] == [0]
    assert [one.slack for one in updated(ran(), 66, [0.5] * 3)] == [5]


def test_a_large_update_without_a_usual_one_is_told_where_the_rate_leapt() -> None:
    assert updated(ran(2), 61, [0.2] * 3) == []
    (one,) = updated(ran(2), 61, [0.2] * 3, leapt=True)
    assert one.message == "one step changes this weight by 0.2 times its norm"


def test_what_was_told_is_not_usual_afterwards() -> None:
    state = ran()
    assert [len(updated(state, step, [0.5] * 3)) for step in range(61, 71)] == [1] * 10


def test_an_update_is_compared_with_the_last_twenty() -> None:
    state = ran(30, 0.1)
    for step in range(61, 72):
        assert updated(state, step, [0.01] * 3) == []
    assert len(updated(state, 72, [0.35] * 3)) == 1


@pytest.mark.parametrize(("scale", "told"), [(0.099, False), (0.101, True)])
def test_a_weight_near_zero_for_its_shape_may_grow_by_many_times(scale: float, told: bool) -> None:
    """Of 64 elements, 16 a sum: the norm is ``scale`` × √64 ÷ √16."""
    columns = Columns(("a.weight",), (64,), (True,), fan_ins=(16,))
    state = warm(columns)
    for step in range(58, 61):
        updated(state, step, [QUIET], weights=[8.0])
    assert bool(updated(state, 61, [3.0], weights=[scale * 8 / 4])) == told


def test_a_weight_that_sums_over_nothing_is_never_near_zero() -> None:
    columns = Columns(("a.weight",), (64,), (True,))
    state = warm(columns)
    for step in range(58, 61):
        updated(state, step, [QUIET], weights=[8.0])
    assert len(updated(state, 61, [3.0], weights=[1e-6])) == 1


def test_an_update_that_is_not_known_is_none() -> None:
    state = ran()
    assert updated(state, 61, [NAN] * 3, weights=[NAN] * 3) == []
    assert updated(state, 62, [NAN, 1.0, NAN], weights=[0.0, 8.0, 0.0]) == []


@pytest.mark.parametrize(
    ("ratios", "columns", "words"),
    [
        ([QUIET, QUIET, NAN], (2,), "makes this weight infinite or NaN"),
        ([QUIET, QUIET, INF], (2,), "makes this weight infinite or NaN"),
        ([INF, QUIET, NAN], (0, 2), "makes this weight and 1 more infinite or NaN"),
        ([NAN, NAN, NAN], (0, 2), "makes this weight and 1 more infinite or NaN"),
    ],
)
def test_weights_that_are_not_finite_behind_finite_gradients_are_the_optimizers(
    ratios: list[float], columns: tuple[int, ...], words: str
) -> None:
    state = ran()
    then(state, [1.0])
    (one,) = updated(state, 61, ratios)
    assert (one.code, one.severity, one.step, one.last_step) == ("SG203", Severity.ERROR, 61, 61)
    assert (one.column, one.columns, one.kind) == (columns[0], columns, FaultKind.OPTIMIZER)
    assert one.at_step and words in one.message


def test_weights_that_are_not_finite_behind_such_gradients_are_told_by_those() -> None:
    state = ran()
    assert [one.code for one in then(state, [NAN])] == ["SG203"]
    assert updated(state, 61, [NAN] * 3) == []
    (one,) = updated(state, 62, [NAN] * 3)
    assert (one.step, one.kind) == (62, FaultKind.UNREAD)
    assert "in step 62, whose gradients were not read" in one.message


@pytest.mark.parametrize(("step", "known"), [(61, True), (62, False), (70, False)])
def test_the_step_is_known_where_the_weights_were_measured_at_the_one_before(step: int, known: bool) -> None:
    assert [one.at_step for one in updated(ran(), step, [NAN] * 3)] == [known]


def test_a_bias_that_is_not_finite_is_not_told_by_itself() -> None:
    assert updated(ran(), 61, [QUIET, NAN, QUIET]) == [] and updated(ran(), 61, [QUIET, INF, QUIET]) == []


def test_a_weight_of_zero_has_no_update_to_be_told() -> None:
    assert updated(ran(), 61, [NAN, QUIET, QUIET], weights=[0.0, 8.0, 8.0]) == []


@pytest.mark.parametrize("steps", [(61, 62), (70, 80)])
def test_the_second_measured_step_that_changes_no_weight_is_told(steps: tuple[int, int]) -> None:
    state = ran()
    assert updated(state, steps[0], [0.0, QUIET, 0.0]) == []
    (one,) = updated(state, steps[1], [0.0, QUIET, 0.0])
    assert (one.code, one.severity, one.kind) == ("SG106", Severity.ERROR, FaultKind.UNMOVED)
    assert (one.step, one.last_step, one.column, one.slack) == (steps[0], steps[1], None, steps[0] - 61)
    assert one.lasting and one.message.endswith("changes no weight at all, at a learning rate of 0.125")


def test_a_step_between_that_changes_one_weight_begins_the_count_anew() -> None:
    state = ran()
    found = [updated(state, step, [0.0, 0.0, 0.1 * (step == 62)]) for step in range(61, 65)]
    assert [len(one) for one in found] == [0, 0, 0, 1]
    assert (found[-1][0].step, found[-1][0].slack) == (63, 0)


def unmoved(state: State, **given: Any) -> bool:
    step = state.last + 1
    return any(updated(state, step + more, [0.0] * 3, **given) for more in (0, 1))


def test_an_optimizer_may_stand_still_where_it_should() -> None:
    assert unmoved(ran())
    assert not unmoved(ran(), may_rest=True), "it has a tolerance of its own"
    assert not unmoved(ran(), exact=False), "a sample of the elements does not show it"
    assert not unmoved(ran(steps=49)) and unmoved(ran(steps=50))
    resting, idle = ran(), ran()
    assert then(resting, [1.0], rates=0.0) == [] and not unmoved(resting), "at a rate of 0 the rows show it"
    assert then(idle, [[0.0, 1.0, 0.0]]) == [] and not unmoved(idle), "without gradients the rows show it"
    half = ran()
    assert then(half, [[0.0, 1.0, 1.0]]) == [] and unmoved(half)


@pytest.mark.parametrize(("norm", "told"), [(0.9e-6, False), (1.1e-6, True)])
def test_an_optimizer_may_stand_still_where_the_total_norm_is_a_millionth(norm: float, told: bool) -> None:
    state = warm(THREE, norms=[norm, 0.0, 0.0])
    updated(state, 60, [QUIET] * 3)
    assert unmoved(state) == told


def swallowed(state: State, steps: int = 2, **given: Any) -> list[Symptom]:
    still = given.pop("still", {0: 0.9, 2: 0.94})
    begin = state.moves[-1][0] + 1
    return [
        one
        for step in range(begin, begin + steps)
        for one in updated(state, step, [1e-6] * 3, still=still, **given)
        if one.code == "SG108"
    ]


def test_steps_that_most_sixteen_bit_weights_round_away_are_told_once_at_the_second() -> None:
    assert swallowed(ran(), 1) == []
    (one,) = swallowed(ran(), 5)
    assert (one.severity, one.step, one.last_step, one.slack) == (Severity.WARNING, 61, 62, 0)
    assert (one.column, one.columns, one.kind) == (0, (0, 2), FaultKind.SWALLOWED)
    assert one.lasting and one.explained
    assert one.message == (
        "a step leaves 93% of the elements of 2 16-bit weights as they were, at a learning rate of 0.125"
    )


@pytest.mark.parametrize(
    ("still", "told"),
    [
        ({0: 0.9, 2: 0.899}, False),
        ({0: 0.9}, True),
        ({0: 0.9, 1: 0.1}, True),
        ({0: 0.899}, False),
        ({}, False),
        ({1: 0.95}, False),
    ],
)
def test_most_of_the_sixteen_bit_weights_keep_nine_tenths_of_their_elements(
    still: dict[int, float], told: bool
) -> None:
    assert bool(swallowed(ran(), still=still)) == told


@pytest.mark.parametrize(("rate", "told"), [(0.0376, True), (0.0374, False)])
def test_steps_at_the_end_of_a_schedule_are_meant_to_be_small(rate: float, told: bool) -> None:
    """The greatest rate was 0.125."""
    assert bool(swallowed(ran(), rate=rate)) == told


def test_a_rate_that_still_rises_begins_the_count_anew() -> None:
    state = ran()
    assert swallowed(state, 1, rate=0.1) == [] and swallowed(state, 1, rate=0.125) == []
    assert swallowed(state, 1, rate=0.125) == []
    (one,) = swallowed(state, 1, rate=0.125)
    assert (one.step, one.last_step, one.slack) == (63, 64, 0)
    falling = ran()
    swallowed(falling, 1, rate=0.125)
    assert len(swallowed(falling, 1, rate=0.1)) == 1


def test_a_step_that_takes_hold_between_begins_the_count_anew() -> None:
    state = ran()
    swallowed(state, 1)
    updated(state, 62, [1e-6] * 3, still={0: 0.5, 2: 0.5})
    assert swallowed(state, 1) == []
    assert [one.step for one in swallowed(state, 1)] == [63]


def test_steps_that_move_nothing_at_all_are_another_symptom() -> None:
    state = ran()
    both = [one.code for step in (61, 62) for one in updated(state, step, [0.0] * 3, still={0: 1.0, 2: 1.0})]
    assert both == ["SG106"]


def test_a_young_run_may_round_steps_away() -> None:
    assert swallowed(ran(steps=49)) == [] and len(swallowed(ran(steps=50))) == 1
