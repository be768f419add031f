"""What left its usual range first around an incident: loss, gradient, update or rate, and at which step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from steadygrad.detect.first_signs import first_signs, in_order, in_words
from steadygrad.detect.history import State
from steadygrad.record import Sign
from tests.detect.made import LAYERS

STEP = 101
"""The step of the incident."""


def run(
    *,
    losses: Mapping[int, float] | None = None,
    norms: Mapping[int, float | dict[int, float]] | None = None,
    moves: Mapping[int, float | dict[int, float]] | None = None,
    last: int = STEP,
    begin: int = 1,
    noise: float = 0.0,
) -> State:
    """Rows of loss 1, norms 1 and usual updates but for these steps; norms and updates in decades, of all or one column."""
    state = State(LAYERS)
    for step in range(begin, last + 1):
        wide, update = np.full(9, noise * (step % 2)), np.full(8, noise * (step % 2) - 2.0)
        for row, given in ((wide, norms or {}), (update, moves or {})):
            value = given.get(step, 0.0)
            for column, decades in value.items() if isinstance(value, dict) else enumerate([value] * len(row)):
                row[column] += decades
        state.trail.append((step, wide, (losses or {}).get(step, 1.0)))
        if moves is not None:
            state.moves.append((step, update))
    return state


def signs(state: State, step: int = STEP, last: int = STEP) -> list[tuple[str, int]]:
    return [(one.kind, one.step) for one in first_signs(state, step, last)]


def test_a_run_without_rows_shows_nothing() -> None:
    assert first_signs(State(LAYERS), STEP, STEP) == []
    assert signs(run()) == []


@pytest.mark.parametrize(("decades", "told"), [(0.7, False), (0.71, True)])
def test_a_gradient_five_times_its_usual_is_a_sign(decades: float, told: bool) -> None:
    found = first_signs(run(norms={99: {2: decades}}), STEP, STEP)
    assert [(one.kind, one.step, one.where) for one in found] == [("gradient", 99, "1.weight")] * told
    if told:
        assert found[0].factor == pytest.approx(10**0.71)


@pytest.mark.parametrize(("decades", "told"), [(1.2, False), (1.5, True)])
def test_a_gradient_that_varies_must_leave_eight_deviations(decades: float, told: bool) -> None:
    """Rows of 0 and 0.2 decades: median 0.1, deviation 0.148; eight of them are 1.19 above 0.1."""
    assert signs(run(norms={100: decades}, noise=0.2)) == [("gradient", 100)] * told


@pytest.mark.parametrize(("loss", "told"), [(2.0, False), (2.1, True), (math.inf, True), (math.nan, False)])
def test_a_loss_above_its_usual_by_its_own_size_is_a_sign(loss: float, told: bool) -> None:
    found = first_signs(run(losses={100: loss}), STEP, STEP)
    assert [(one.kind, one.step) for one in found] == [("loss", 100)] * told
    if told:
        assert found[0].factor == pytest.approx(loss)


def test_a_loss_below_zero_has_a_size_too() -> None:
    below = dict.fromkeys(range(1, STEP), -2.0)
    assert signs(run(losses={**below, STEP: 0.0})) == []
    assert signs(run(losses={**below, STEP: 0.1})) == [("loss", STEP)]


def test_a_loss_that_varies_must_leave_eight_deviations_and_all_that_it_was() -> None:
    """Losses of 0.5 and 1.5: median 1 (of an even number), deviation 0.74; eight of them are 5.9 above 1."""
    varied = {step: 0.5 + step % 2 for step in range(1, STEP)}
    assert signs(run(losses={**varied, STEP: 6.8})) == []
    assert signs(run(losses={**varied, STEP: 7.1})) == [("loss", STEP)]
    assert signs(run(losses={20: 9.0, STEP: 8.9})) == []
    assert signs(run(losses={20: 9.0, STEP: 9.1})) == [("loss", STEP)]


def test_a_usual_loss_of_zero_has_no_multiple() -> None:
    (one,) = first_signs(run(losses={**dict.fromkeys(range(1, STEP), 0.0), STEP: 1.0}), STEP, STEP)
    assert one.step == STEP and math.isnan(one.factor)


def test_losses_that_are_not_known_are_no_sign() -> None:
    assert signs(run(losses=dict.fromkeys(range(1, 102), math.nan))) == []
    assert signs(run(losses={**dict.fromkeys(range(1, 101), math.nan), 101: 9.0})) == []


def test_a_gradient_that_is_not_finite_is_a_sign_of_the_whole_model() -> None:
    for value in (math.nan, math.inf):
        (one,) = first_signs(run(norms={100: value}), STEP, STEP)
        assert (one.kind, one.step, one.where) == ("gradient", 100, "") and math.isnan(one.factor)


def test_the_total_alone_is_a_sign_of_the_whole_model() -> None:
    (one,) = first_signs(run(norms={100: {8: 1.0}}), STEP, STEP)
    assert (one.step, one.where) == (100, "") and one.factor == pytest.approx(10.0)


def test_a_bias_alone_is_no_sign_and_the_weight_that_rose_most_is_named() -> None:
    assert signs(run(norms={100: {1: 3.0}})) == []
    (one,) = first_signs(run(norms={100: {1: 3.0, 2: 1.0, 4: 2.0, 6: 1.5}}), STEP, STEP)
    assert one.where == "2.weight" and one.factor == pytest.approx(100.0)


def test_a_step_after_the_last_is_not_looked_at() -> None:
    state = run(norms={100: 1.0, 102: 5.0}, losses={103: 50.0}, last=105)
    assert signs(state, 101, 101) == [("gradient", 100)]
    assert signs(run(norms={102: 1.0}, last=105), 101, 101) == []
    assert signs(run(norms={102: 1.0}, last=105), 101, 102) == [("gradient", 102)]


@pytest.mark.parametrize(("gap", "begun"), [(4, 91), (5, 96)])
def test_a_quantity_that_is_usual_for_three_rows_between_is_the_same_sign(gap: int, begun: int) -> None:
    assert signs(run(norms={91: 1.0, 91 + gap: 1.0})) == [("gradient", begun)]


def test_a_sign_is_looked_for_in_the_forty_rows_before_the_incident() -> None:
    """What was far before that is usual, or was another thing."""
    assert signs(run(norms={61: 1.0})) == [("gradient", 61)]
    assert signs(run(norms={60: 1.0})) == []


def test_a_young_run_is_compared_with_all_rows_but_the_last_eight() -> None:
    """Thirty rows further back than forty are too few in a run of 69 rows."""
    high = dict.fromkeys(range(1, 60), 2.0)
    assert signs(run(norms={**high, 62: 2.0}, last=69), 70, 69) == []
    assert signs(run(norms={50: 1.0}, last=70), 70, 70) == [], "a row that far back is usual"
    assert signs(run(norms={62: 1.0}, last=70), 70, 70) == [("gradient", 62)]
    assert signs(run(norms={61: 1.0}, last=70), 70, 70) == []
    assert signs(run(norms={50: 1.0}, last=71), 71, 71) == [("gradient", 50)]


def test_a_run_of_a_few_rows_is_compared_with_all_before_the_incident() -> None:
    assert signs(run(norms={17: 1.0, 18: 1.0}, last=18), 18, 18) == [("gradient", 18)]
    assert signs(run(norms={18: 1.0, 19: 1.0}, last=19), 19, 19) == [("gradient", 18)]


def test_the_first_row_of_a_run_is_a_sign_where_it_is_not_finite() -> None:
    assert signs(run(norms={1: math.nan}, last=1), 1, 1) == [("gradient", 1)]
    assert signs(run(last=1), 1, 1) == []


def test_an_update_far_above_the_usual_is_a_sign_where_the_gradient_is_usual() -> None:
    (one,) = first_signs(run(moves={99: {4: 1.0}}), STEP, STEP)
    assert (one.kind, one.step, one.where) == ("moments", 99, "2.weight")
    assert one.factor == pytest.approx(10.0)
    assert signs(run(moves={99: {4: 0.69}})) == []
    assert signs(run(moves={99: {4: 0.71}})) == [("moments", 99)]
    assert signs(run(moves={99: {5: 3.0}})) == [], "a bias alone is none"
    assert signs(run(moves={99: 1.0}, norms={99: 1.0})) == [("gradient", 99)], "a gradient makes its own update"
    assert signs(run(moves={98: 1.0}, norms={100: 1.0})) == [("moments", 98), ("gradient", 100)]
    assert signs(run(moves={102: 1.0}, last=105)) == []


def test_of_updates_the_weight_that_moved_most_is_named() -> None:
    (one,) = first_signs(run(moves={99: {0: 1.0, 3: 4.0, 4: 2.0}}), STEP, STEP)
    assert one.where == "2.weight" and one.factor == pytest.approx(100.0)


@pytest.mark.parametrize(("measured", "told"), [(9, False), (10, True)])
def test_ten_measured_updates_say_what_is_usual(measured: int, told: bool) -> None:
    state = run(moves={STEP: 1.0})
    del state.moves[:-measured]
    assert signs(state) == [("moments", STEP)] * told


def test_an_update_is_compared_with_those_before_the_first_sign_of_the_gradient() -> None:
    """The gradient rose at step 70, and the update at step 71 of a run that began at step 41."""
    assert signs(run(norms={70: 1.0}, moves={71: 1.0}, begin=41, last=75), 75, 75) == [
        ("gradient", 70),
        ("moments", 71),
    ]


@pytest.mark.parametrize(("step", "told"), [(60, False), (61, True), (101, True), (102, False)])
def test_a_leap_of_the_rate_is_a_sign_within_forty_rows_of_the_incident(step: int, told: bool) -> None:
    state = run()
    state.leap = (step, 0.125, 1.0)
    assert signs(state) == [("rate", step)] * told
    if told:
        assert first_signs(state, STEP, STEP)[0].factor == 8.0
    state.leap = (100, 0.0, 1.0)
    assert math.isnan(first_signs(state, STEP, STEP)[0].factor)


def test_signs_are_in_the_order_of_their_steps_and_of_what_a_step_begins_with() -> None:
    state = run(losses={100: 9.0}, norms={100: 1.0}, moves={99: 1.0})
    state.leap = (100, 0.125, 1.0)
    assert signs(state) == [("moments", 99), ("rate", 100), ("loss", 100), ("gradient", 100)]
    both = [Sign("gradient", 7), Sign("batch", 7), Sign("gradient", 5), Sign("rate", 7)]
    assert in_order(both) == [Sign("gradient", 5), Sign("rate", 7), Sign("batch", 7)]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], ""),
        ([Sign("loss", 7)], "the loss"),
        ([Sign("loss", 7, "", 3.0)], "the loss (×3)"),
        ([Sign("loss", 7, "", 0.0)], "the loss"),
        ([Sign("loss", 7, "", math.inf)], "the loss"),
        ([Sign("moments", 7, "1.weight", 12.0)], "the update of 1.weight (×12)"),
        ([Sign("moments", 7, "1.weight"), Sign("loss", 8)], "the update of 1.weight, 1 step before the loss"),
        ([Sign("rate", 7), Sign("gradient", 7), Sign("loss", 13)], "the learning rate, 6 steps before the loss"),
        ([Sign("rate", 7), Sign("gradient", 7)], "the learning rate"),
    ],
)
def test_the_first_sign_in_words(found: list[Sign], words: str) -> None:
    assert in_words(found) == words
