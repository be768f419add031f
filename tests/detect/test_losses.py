"""A loss that leaps, climbs, runs away or stands still: from which loss on, at which step, and since when."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.losses import highest_usual, judge_losses, of_left_out, stands_still, worth_a_question
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from tests.detect.made import LAYERS, ONE, judged, rows, then

BLOCKS = pytest.mark.parametrize("blocks", [1, 32, 1000])


def told(losses: Sequence[float], *, blocks: int = 1, norms: Sequence[float] | None = None) -> list[Symptom]:
    return judged(State(ONE), rows(np.ones(len(losses)) if norms is None else norms, losses=losses), blocks=blocks)


def seen(losses: Sequence[float], blocks: int = 1000) -> State:
    """The memory behind these losses alone."""
    state, given = State(ONE), np.asarray(losses, np.float64)
    for at in range(0, len(given), blocks):
        part = given[at : at + blocks]
        list(judge_losses(state, range(at + 1, at + 1 + len(part)), part, np.zeros(len(part))))
    return state


@BLOCKS
@pytest.mark.parametrize(
    ("before", "usual", "leap"),
    [
        ([1.0] * 20, 4.0, 4.01),
        ([-1.0, 1.0] * 10, 7.0, 7.1),
        ([-1.0] * 20, 2.0, 2.1),
        ([0.0] * 20, 2.9e-30, 3.1e-30),
        ([0.5, 2.0] + [1.0] * 18, 8.0, 8.1),
    ],
)
def test_a_leap_exceeds_the_greatest_loss_by_three_times_its_size_and_the_range(
    before: list[float], usual: float, leap: float, blocks: int
) -> None:
    assert told([*before, usual, *before], blocks=blocks) == []
    (one,) = told([*before, leap, *before], blocks=blocks)
    assert (one.code, one.severity, one.step, one.last_step) == ("SG207", Severity.WARNING, 21, 21)
    assert one.column is None and not one.lasting


def test_a_leap_is_told_against_the_median() -> None:
    (one,) = told([2.0] * 20 + [9.0])
    assert one.message == "the loss jumps to 9, ×4.5 its median (2)"
    (one,) = told([0.0] * 20 + [9.0])
    assert one.message == "the loss jumps to 9, from a median of 0"
    (one,) = told([-2.0] * 20 + [9.0])
    assert one.message == "the loss jumps to 9, from a median of -2"


@BLOCKS
@pytest.mark.parametrize(("count", "leaps"), [(2, False), (3, True), (9, True), (10, True)])
def test_an_early_loss_leaps_where_the_gradient_leaps_too(count: int, leaps: bool, blocks: int) -> None:
    """From the fourth loss on, with a gradient 0.8 decades above all before it; from the eleventh on by itself."""
    losses = [1.0] * count + [5.0]
    quiet, high, higher = ([1.0] * count + [norm] for norm in (1.0, 6.3, 6.4))
    assert [one.step for one in told(losses, norms=higher, blocks=blocks)] == [count + 1] * leaps
    assert bool(told(losses, norms=quiet, blocks=blocks)) == (count == 10)
    assert bool(told(losses, norms=high, blocks=blocks)) == (count == 10)


def test_an_early_loss_leaps_with_the_total_norm_and_not_with_one_of_many() -> None:
    norms = np.ones((6, 8))
    for column, leaps in ((0, True), (1, True), (7, True)):
        norms[5] = 1.0
        norms[5, column] = 30.0
        found = judged(State(LAYERS), rows(norms, losses=[1.0] * 5 + [5.0]))
        assert ("SG207" in [one.code for one in found]) == leaps


def test_a_row_needs_a_judgement_at_once_from_the_loss_that_leaps() -> None:
    assert [highest_usual(seen([1.0] * count).losses) for count in (0, 2, 3, 20)] == [math.inf, math.inf, 4.0, 4.0]


@pytest.mark.parametrize(("count", "leaps"), [(59, False), (60, True)])
def test_what_a_loss_climbed_within_its_last_ten_steps_hides_no_leap_from_sixty_losses_on(
    count: int, leaps: bool
) -> None:
    losses = [1.0] * (count - 1) + [3.9]
    assert bool(told([*losses, 10.0])) == leaps


@pytest.mark.parametrize(("ago", "leaps"), [(10, True), (11, False)])
def test_what_a_loss_was_more_than_ten_steps_ago_is_usual(ago: int, leaps: bool) -> None:
    assert bool(told([1.0] * 80 + [3.9] + [1.0] * (ago - 1) + [10.0])) == leaps


def test_a_young_loss_is_compared_with_its_last_ten_too() -> None:
    assert told([1.0] * 20 + [3.9] + [1.0] * 9 + [15.0]) == []
    assert [one.step for one in told([1.0] * 20 + [3.9] + [1.0] * 9 + [15.7])] == [31]


@BLOCKS
def test_a_loss_that_climbs_began_where_it_left_what_it_was(blocks: int) -> None:
    found = told([1.0] * 80 + [2.0, 3.0, 5.0, 1.0], blocks=blocks)
    assert [(one.step, one.last_step) for one in found] == [(81, 83)]
    assert found[0].message == "the loss climbs to 5 within 3 steps, ×5 its median (1)"


def test_a_loss_that_leaps_is_not_usual_afterwards() -> None:
    assert [one.last_step for one in told([1.0] * 20 + [9.0] + [1.0] * 20 + [9.0])] == [21, 42]


@BLOCKS
@pytest.mark.parametrize(("unknown", "begun"), [(math.nan, 22), (math.inf, 21)])
def test_a_loss_that_is_not_finite_is_none_by_itself(unknown: float, begun: int, blocks: int) -> None:
    assert told([1.0] * 20 + [unknown] + [1.0] * 20, blocks=blocks) == []
    assert [one.step for one in told([1.0] * 20 + [unknown, 9.0], blocks=blocks)] == [begun]


def test_a_step_left_out_by_the_loss_scale_says_so() -> None:
    state = seen([1.0] * 5)
    assert of_left_out(state, 6, 4.0) == []
    (one,) = of_left_out(state, 7, 50.0)
    assert (one.code, one.step) == ("SG207", 7)
    assert one.cause == "the gradients overflow, and the loss scale leaves the step out"


def away(level: float, *, start: float = 1.0, best: float = 1.0, late: int = 50) -> list[Symptom]:
    """Fifty losses near the start, fifty at the best, and then a level, without the leap that leads to it."""
    losses = [start] * 50 + [best] * 50 + [level] * late
    return [one for one in told(losses, blocks=25) if one.lasting]


@pytest.mark.parametrize(
    ("start", "best", "stays", "leaves"),
    [(1.0, 1.0, 11.0, 11.1), (5.0, 1.0, 51.0, 51.1), (3.0, -5.0, 75.0, 75.1), (0.0, -2.0, 18.0, 18.1)],
)
def test_a_loss_runs_away_ten_times_further_above_its_best_than_it_ever_fell_and_is(
    start: float, best: float, stays: float, leaves: float
) -> None:
    assert away(stays, start=start, best=best) == []
    (one,) = away(leaves, start=start, best=best)
    assert (one.code, one.severity, one.step, one.last_step) == ("SG207", Severity.ERROR, 125, 150)
    assert one.message == f"the loss has risen from {best:.3g} (step {75 if start != best else 25}) to {leaves:.3g}"
    assert 101 in range(one.step - one.slack, one.step + 1)


def test_a_loss_runs_away_after_two_levels_and_until_it_comes_back() -> None:
    assert away(20.0, late=49) == []
    assert len(away(20.0, late=100)) == 3
    assert [one.step for one in away(20.0, late=75)] == [125, 125]


def test_a_loss_that_rises_by_and_by_began_where_it_left_its_range() -> None:
    """It is ×2 its best in the level of step 125, and never more than ×1.9 before that."""
    losses = np.repeat([1.0, 1.0, 1.5, 1.9, 2.1, 4.0, 8.0, 15.0, 20.0], 25)
    (one,) = [one for one in told(losses.tolist(), blocks=25) if one.lasting]
    assert (one.step, one.slack, one.last_step) == (125, 25 + 100, 225)


def test_a_loss_that_runs_away_is_of_the_layer_whose_gradients_grew_most() -> None:
    """The weights behind the second layer grow without their biases: its output does."""
    norms = np.ones((250, 8))
    norms[100:, [4, 6]] = 8.0
    losses = [1.0] * 100 + [20.0] * 150
    found = judged(State(LAYERS), rows(norms, losses=losses))
    lasting = [one for one in found if one.code == "SG207" and one.lasting]
    assert lasting[0].column == 2 and lasting[0].cause == "its output is ×8 its usual size"
    assert {one.column for one in found if not one.lasting} == {None}


def test_a_loss_stands_still_from_two_hundred_losses_on() -> None:
    assert not worth_a_question(seen([1.0] * 199).losses)
    state = seen([1.0] * 200)
    assert worth_a_question(state.losses) and state.losses.flat_since == 1


@pytest.mark.parametrize(("level", "still"), [(104.0, True), (104.1, False), (96.0, True), (95.9, False)])
def test_a_loss_stands_still_where_its_levels_differ_by_four_percent(level: float, still: bool) -> None:
    assert worth_a_question(seen([100.0] * 100 + [level] * 25 + [100.0] * 75).losses) == still
    assert worth_a_question(seen([-100.0] * 100 + [-level] * 25 + [-100.0] * 75).losses) == still


@pytest.mark.parametrize("blocks", [1, 32, 1000])
def test_a_loss_stands_still_since_the_first_of_its_levels_that_are_alike(blocks: int) -> None:
    state = seen([3.0] * 100 + [1.0] * 300, blocks)
    assert state.losses.flat_since == 101
    state = seen([3.0] * 100 + [1.0] * 300 + [3.0] * 25, blocks)
    assert state.losses.flat_since == 0


def risen(steps: int) -> State:
    """A loss that falls to 1, is 2 and more from step 151 on, and goes on moving."""
    return seen([*np.linspace(1.5, 1.0, 50), *[1.0] * 100, *(2.0 + 0.01 * np.arange(steps - 150))])


@pytest.mark.parametrize(("steps", "asked"), [(175, False), (199, False), (200, True), (350, True), (375, False)])
def test_a_loss_that_rose_and_stays_up_is_worth_a_question_for_two_hundred_steps(steps: int, asked: bool) -> None:
    state = risen(steps)
    assert state.losses.flat_since == 0
    assert worth_a_question(state.losses) == asked


@pytest.mark.parametrize(("spread", "asked"), [(None, False), (1e-4, False), (0.9e-4, True), (0.0, True)])
def test_a_loss_that_rose_is_told_where_all_samples_get_the_same_answer(spread: float | None, asked: bool) -> None:
    one = stands_still(risen(200), 210, spread)
    assert bool(one) == asked
    if one:
        assert (one.code, one.severity, one.step, one.last_step) == ("SG207", Severity.ERROR, 151, 210)
        assert one.lasting and one.kind is FaultKind.CONSTANT_ANSWER
        assert "for 60 steps (at most 1 in the 100 steps before)" in one.message


def test_a_loss_that_stands_still_is_told_once_and_since_when() -> None:
    state = seen([3.0] * 100 + [1.25] * 300)
    one = stands_still(state, 410, 2e-6)
    assert one is not None and one.step == 101
    assert one.message == (
        "the loss has stayed at 1.25 for 310 steps, the loss of a constant answer: "
        "all samples get the same output (spread 2e-06)"
    )
    assert stands_still(state, 420, 2e-6) is None


def test_a_loss_that_moves_is_no_question() -> None:
    state = seen(np.linspace(3.0, 1.0, 400).tolist())
    assert not worth_a_question(state.losses) and stands_still(state, 400, 0.0) is None


@pytest.mark.parametrize("dip", [2.1, 2.0])
def test_a_loss_that_comes_back_below_what_it_left_has_not_stayed_up(dip: float) -> None:
    """The greatest of the hundred losses before is 2."""
    losses = [2.0] * 150 + [*(3.0 + 0.02 * np.arange(40)), dip, *(3.0 + 0.02 * np.arange(59))]
    state = seen(losses)
    assert (state.losses.left[0] == 151) == (dip > 2)


def test_a_loss_leaves_nothing_before_a_hundred_losses_are_known() -> None:
    assert seen([1.0] * 50 + [2.0] * 25).losses.left == (0, 0.0)
    assert seen([1.0] * 75 + [2.0] * 25).losses.left == (76, 1.0)
    assert seen([1.0] * 60 + [2.0] * 40).losses.left[0] == 0, "within the chunk, all that is above the chunks before"


def test_a_long_run_keeps_four_hundred_levels_at_most_and_the_last_among_them() -> None:
    history = seen(np.linspace(3.0, 1.0, 25 * 401).tolist()).losses
    assert len(history.levels) == 201 and history.levels[-1][0] == 25 * 401
    assert history.levels[0][0] == 25 and history.levels[1][0] == 75
    assert len(seen(np.linspace(3.0, 1.0, 25 * 400).tolist()).losses.levels) == 400


@pytest.mark.parametrize("blocks", [2, 7, 1000])
def test_losses_are_kept_alike_whatever_the_blocks(blocks: int) -> None:
    losses = (2.0 + np.sin(np.arange(400))).tolist()
    one_by_one, in_blocks = seen(losses, 1), seen(losses, blocks)
    assert in_blocks.losses == one_by_one.losses
    assert then(one_by_one, [1.0], losses=[50.0]) == then(in_blocks, [1.0], losses=[50.0])
