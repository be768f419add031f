"""A gradient that becomes exactly zero or goes away, and a learning rate that stays zero: told after twenty rows."""

from __future__ import annotations

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns
from tests.detect.made import LAYERS, ONE, then, warm

BLOCKS = pytest.mark.parametrize("blocks", [1, 7, 1000])


def without(columns: list[int], steps: int, value: float = 0.0) -> np.ndarray:
    norms = np.ones((steps, 8))
    norms[:, columns] = value
    return norms


def places(found: list[Symptom]) -> list[tuple[int, int, int | None]]:
    return [(one.step, one.last_step, one.column) for one in found]


@BLOCKS
def test_a_weight_whose_gradient_is_zero_is_told_at_its_twentieth_row_and_every_twenty(blocks: int) -> None:
    assert then(warm(LAYERS), without([2, 3], 19), blocks=blocks) == []
    found = then(warm(LAYERS), without([2, 3], 59), blocks=blocks)
    assert places(found) == [(61, 80, 2), (61, 100, 2)]
    (told, again) = found
    assert (told.code, told.severity, told.lasting, told.columns) == ("SG106", Severity.ERROR, True, (2,))
    assert (told.kind, told.cause) == (FaultKind.UNKNOWN, "")
    assert told.message == "its gradient has been exactly zero for 20 steps"
    assert again.message == "its gradient has been exactly zero for 40 steps"


@BLOCKS
def test_a_weight_that_lost_its_gradient_is_detached_from_the_loss(blocks: int) -> None:
    (told,) = then(warm(LAYERS), without([2, 3], 20, -1.0), blocks=blocks)
    assert places([told]) == [(61, 80, 2)]
    assert told.message == "this weight has had no gradient for 20 steps"
    assert told.cause == "it is detached from the loss"


def test_of_several_weights_the_one_nearest_the_output_is_at_fault() -> None:
    (told,) = then(warm(LAYERS), without([0, 1, 2, 3], 20))
    assert (told.column, told.columns) == (2, (0, 2))
    assert told.message == "its gradient and those of 1 more have been exactly zero for 20 steps"
    (told,) = then(warm(LAYERS), without([0, 1, 2, 3, 4, 5], 20, -1.0))
    assert (told.column, told.columns) == (4, (0, 2, 4))
    assert told.message == "this weight and 2 more have had no gradient for 20 steps"


def test_a_weight_whose_bias_still_learns_gets_nothing_in_from_the_dead_layer_before() -> None:
    (told,) = then(warm(LAYERS), without([2, 3, 4], 20))
    assert (told.column, told.columns) == (2, (2, 4))
    (told,) = then(warm(LAYERS), without([2, 4], 20))
    assert (told.column, told.columns) == (4, (2, 4)), "where each bias learns, no layer is known to be the one"


@pytest.mark.parametrize(
    ("value", "words", "cause"),
    [
        (0.0, "all gradients have been exactly zero for 20 steps", "too small for the number format"),
        (-1.0, "no parameter has had a gradient for 20 steps", ""),
    ],
)
def test_a_model_without_any_gradient_is_dead_as_a_whole(value: float, words: str, cause: str) -> None:
    (told,) = then(warm(LAYERS), without(list(range(8)), 20, value))
    assert (told.column, told.kind, told.message) == (None, FaultKind.NO_GRADIENT, words)
    assert cause in told.cause and bool(told.cause) == bool(cause)


def test_a_model_whose_last_bias_still_learns_is_not_dead_as_a_whole() -> None:
    (told,) = then(warm(LAYERS), without(list(range(7)), 20))
    assert (told.column, told.kind) == (4, FaultKind.UNKNOWN)


def test_biases_alone_are_not_missed() -> None:
    assert then(warm(LAYERS), without([1, 3, 5], 40)) == []


def test_parameters_frozen_on_purpose_are_not_missed() -> None:
    frozen = [True, True] + [False] * 6
    assert then(warm(LAYERS), without([0, 1], 40, -1.0), frozen=frozen) == []
    (told,) = then(warm(LAYERS), without(list(range(8)), 20), frozen=frozen)
    assert (told.column, told.columns) == (None, (2, 4, 6)), "all that asks for a gradient has none"
    (told,) = then(warm(LAYERS), without([0, 1, 2, 3], 20), frozen=frozen)
    assert told.columns == (2,)


@BLOCKS
@pytest.mark.parametrize(("learnt", "told"), [(19, False), (20, True)])
def test_what_has_hardly_learnt_is_not_missed(learnt: int, told: bool, blocks: int) -> None:
    norms = without([2, 3], learnt + 25)
    norms[:learnt] = 1.0
    found = then(State(LAYERS), norms, blocks=blocks)
    assert places(found) == [(learnt + 1, learnt + 20, 2)] * told


def test_a_model_of_which_a_part_never_learnt_is_dead_where_the_rest_is() -> None:
    """Two layers have never had a gradient; those that had one have none any more."""
    state = State(LAYERS)
    assert then(state, without([0, 1, 2, 3], 60)) == []
    (told,) = then(state, without(list(range(8)), 20))
    assert (told.column, told.columns) == (None, (4, 6))


@pytest.mark.parametrize("blocks", [7, 1000])
@pytest.mark.parametrize(("paused", "told_after"), [(1, 200), (70, 220)])
def test_what_has_paused_before_is_missed_after_two_hundred_rows_and_three_pauses(
    paused: int, told_after: int, blocks: int
) -> None:
    """Experts and rare words pause by nature; it is told at every twentieth row."""
    state = warm(LAYERS)
    then(state, without([2, 3], paused), blocks=blocks)
    assert then(state, np.ones((3, 8)), blocks=blocks) == []
    begun = 60 + paused + 3 + 1
    found = then(state, without([2, 3], told_after + 1), blocks=blocks)
    assert places(found) == [(begun, begun + told_after - 1, 2)]


def test_a_sixteen_bit_gradient_of_zero_is_smaller_than_its_format_holds() -> None:
    halves = Columns(LAYERS.names, LAYERS.sizes, LAYERS.weights, (6e-8,) * 8)
    (told,) = then(warm(halves), without([2, 3], 20))
    assert (told.code, told.cause) == ("SG108", "it is smaller than the smallest number of its format (6e-08)")
    (told,) = then(warm(halves), without([2, 3], 20, -1.0))
    assert (told.code, told.cause) == ("SG106", "it is detached from the loss")


@BLOCKS
def test_a_rate_of_zero_is_told_at_its_twentieth_row_and_every_twenty(blocks: int) -> None:
    assert then(warm(), np.ones(19), rates=0.0, blocks=blocks) == []
    found = then(warm(), np.ones(59), rates=0.0, blocks=blocks)
    assert places(found) == [(61, 80, None), (61, 100, None)]
    told = found[0]
    assert (told.code, told.severity, told.kind) == ("SG106", Severity.ERROR, FaultKind.RATE_IS_ZERO)
    assert told.lasting and told.of_the_loop
    assert told.message == "the learning rate has been 0 for 20 steps: no weight changes"


@BLOCKS
def test_a_rate_that_rests_for_nineteen_rows_is_none(blocks: int) -> None:
    state = warm()
    rates = ([0.0] * 19 + [0.125]) * 3
    assert then(state, np.ones(60), rates=rates, blocks=blocks) == []
    found = then(state, np.ones(25), rates=0.0, blocks=blocks)
    assert places(found) == [(121, 140, None)]


def test_a_rate_that_rests_at_every_second_row_is_none() -> None:
    assert then(warm(), np.ones(60), rates=[0.0, 0.125] * 30) == []


def test_a_warm_up_that_begins_at_zero_is_none() -> None:
    assert then(State(ONE), np.ones(60), rates=0.0) == []
    assert then(State(ONE), np.ones(60), rates=np.nan) == []


def test_a_rate_that_is_not_known_does_not_hide_a_leap() -> None:
    state = warm()
    then(state, np.ones(3), rates=np.nan)
    assert [one.code for one in then(state, [20.0], rates=1.0)] == ["SG204"]
