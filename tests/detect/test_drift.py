"""Norms that grow or fall away over many rows: from how far on, at which level, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Severity
from steadygrad.record.rows import Columns
from tests.detect.made import LAYERS, ONE, judged, rows

FOUR = Columns(tuple("abcd"), (64,) * 4, (True,) * 4)


def leveled(decades: Sequence[Any], columns: Columns = ONE, blocks: int = 25) -> list[Symptom]:
    """What is told of levels of 25 rows each, NaN where there is no gradient; the leaps between them are not asked for."""
    levels = np.array([np.broadcast_to(np.asarray(one, float), len(columns.names)) for one in decades])
    norms = np.nan_to_num(10.0 ** np.repeat(levels, 25, axis=0), nan=-1.0)
    found = judged(State(columns), rows(norms), blocks=blocks)
    return [one for one in found if one.lasting]


@pytest.mark.parametrize("blocks", [1, 25, 60, 1000])
def test_a_total_norm_far_above_what_it_was_is_told_at_the_second_such_level(blocks: int) -> None:
    calm = [0.0, 0.0, 0.0]
    assert leveled([*calm, 2.59, 2.59, 2.59], blocks=blocks) == []
    assert leveled([*calm, 2.61], blocks=blocks) == []
    (told,) = leveled([*calm, 2.61, 2.61], blocks=blocks)
    assert (told.code, told.severity, told.column) == ("SG201", Severity.ERROR, 0)
    assert (told.step, told.last_step) == (100, 125)
    assert 76 in range(told.step - told.slack, told.step + 1)


def test_a_norm_that_comes_back_between_has_not_grown() -> None:
    assert leveled([0.0, 0.0, 0.0, 3.0, 0.0, 3.0, 2.5, 3.0]) == []


@pytest.mark.parametrize(("levels", "told"), [(3, 0), (4, 1), (5, 2)])
def test_four_levels_are_needed(levels: int, told: int) -> None:
    assert len(leveled([0.0, 2.7, 2.7, 2.7, 2.7][:levels])) == told


def test_growth_is_told_against_the_lowest_and_the_greatest_before_it() -> None:
    """The run begins a decade above its lowest: 3.5 above that is not 2.6 above all, 3.7 is."""
    assert leveled([1.0, 0.0, 0.0, 3.5, 3.5]) == []
    (told,) = leveled([1.0, 0.0, 0.0, 4.0, 3.7])
    assert told.message == (
        "the total gradient norm has grown by ×5,000 (3.7 decades) since step 50, "
        "and exceeds the highest level before that by ×501 (2.7 decades)"
    )


def test_the_weight_that_grew_most_is_named_where_no_place_is_clear() -> None:
    growing = [[0.0] * 4, [0.0] * 4, [0.0] * 4, [2.7, 2.8, 3.2, 2.7], [2.7, 2.8, 3.2, 2.7]]
    (told,) = leveled(growing, FOUR)
    assert told.column == 2


def test_a_bias_is_not_named() -> None:
    columns = Columns(("a.weight", "a.bias"), (64, 8), (True, False))
    (told,) = leveled([[0.0, 0.0]] * 3 + [[2.7, 3.0]] * 2, columns)
    assert told.column == 0


def test_a_place_in_depth_is_named_with_its_cause() -> None:
    """The weights behind the second layer grow and their biases do not."""
    found = leveled([[0.0] * 8] * 3 + [[0.0] * 4 + [3.0, 0.0] * 2] * 2, LAYERS)
    (told,) = (one for one in found if one.code == "SG201")
    assert (told.column, told.cause) == (2, "its output is ×1,000 its usual size")


def test_layers_that_grow_alike_are_of_no_layer() -> None:
    (told,) = leveled([[0.0] * 8] * 3 + [[3.0] * 8] * 2, LAYERS)
    assert told.column is None and "the gradient of the loss is ×1,000" in told.cause


def test_a_growth_began_at_the_first_level_that_differs_by_a_factor_of_two() -> None:
    """Levels within 0.3 decades of the lowest are noise; a growth that goes on evenly has no bend."""
    (told,) = leveled([0.0, 0.0, 0.0, 0.29, 1.5, 2.7, 3.9])
    assert (told.step, told.last_step) == (125, 175)
    (told,) = leveled([0.0, 0.0, 0.0, 0.31, 1.5, 2.7, 3.9])
    assert told.step == 100


def test_a_growth_that_follows_a_plateau_began_at_the_end_of_it() -> None:
    """The norm rises by a decade, stays there for 200 steps, and grows by a decade in 25 from step 301 on."""
    levels = [0.0, 0.2, 0.4, 0.7, *[1.0] * 8, 2.0, 3.0, 4.0]
    told = leveled(levels)[0]
    assert 301 in range(told.step - told.slack, told.step + 1)
    assert (told.step, told.slack) == (325, 50)


def test_a_growth_that_only_speeds_up_began_where_it_was_lowest() -> None:
    """Three times as fast from step 301 on: no bend."""
    told = leveled([*np.arange(12) * 0.1, *(1.1 + 0.3 * np.arange(1, 8))])[0]
    assert 76 in range(told.step - told.slack, told.step + 1) and told.step < 150


@pytest.mark.parametrize("blocks", [1, 25, 1000])
def test_early_layers_that_fall_away_are_told_at_the_second_such_level(blocks: int) -> None:
    calm = [[0.0] * 4] * 3
    assert leveled([*calm, [-2.6, 0, 0, 0]], FOUR, blocks) == []
    assert leveled([*calm, *[[-2.49, 0, 0, 0]] * 3], FOUR, blocks) == []
    (told,) = leveled([*calm, *[[-2.51, 0, 0, 0]] * 2], FOUR, blocks)
    assert (told.code, told.severity, told.step, told.last_step) == ("SG101", Severity.ERROR, 100, 125)
    assert (told.column, told.columns) == (0, (0,))
    assert 76 in range(told.step - told.slack, told.step + 1)
    assert (
        told.message == "its gradient has shrunk by ×324 (2.5 decades) relative to the layer with the largest gradient"
    )


def test_all_layers_that_fall_together_are_no_drift() -> None:
    """As where a run learns: no layer loses against another."""
    assert leveled([[0.0] * 4] * 3 + [[-4.0] * 4] * 4, FOUR) == []


def test_a_late_layer_that_falls_is_no_vanishing_gradient() -> None:
    assert leveled([[0.0] * 4] * 3 + [[0, -3.0, -3.0, 0]] * 3, FOUR) == []


def test_of_several_layers_the_one_after_which_the_fall_ends_is_named() -> None:
    (told,) = leveled([[0.0] * 4] * 3 + [[-3.0, -3.0, 0, 0]] * 2, FOUR)
    assert (told.column, told.columns) == (1, (0, 1))
    assert told.message.startswith("its gradient and those of 1 more have shrunk by ×1,000 (3.0 decades)")
    (told,) = leveled([[0.0] * 4] * 3 + [[-6.0, -3.0, -2.9, 0]] * 2, FOUR)
    assert (told.column, told.columns) == (0, (0, 1, 2)), "the greatest step down"


@pytest.mark.parametrize(("layers", "told"), [(2, False), (3, True)])
def test_three_weights_are_needed_to_see_one_fall_away(layers: int, told: bool) -> None:
    columns = Columns(FOUR.names[:layers], FOUR.sizes[:layers], FOUR.weights[:layers])
    fallen = [-3.0] + [0.0] * (layers - 1)
    assert bool(leveled([[0.0] * layers] * 3 + [fallen] * 2, columns)) == told


def test_a_quarter_of_the_weights_must_have_fallen() -> None:
    eight = Columns(tuple("abcdefgh"), (64,) * 8, (True,) * 8)
    calm = [[0.0] * 8] * 3
    assert leveled([*calm, *[[-3.0] + [0.0] * 7] * 3], eight) == []
    (told,) = leveled([*calm, *[[-3.0] * 2 + [0.0] * 6] * 2], eight)
    assert told.columns == (0, 1)
    twelve = Columns(tuple("abcdefghijkl"), (64,) * 12, (True,) * 12)
    assert leveled([[0.0] * 12] * 3 + [[-3.0] * 2 + [0.0] * 10] * 3, twelve) == []
    assert len(leveled([[0.0] * 12] * 3 + [[-3.0] * 3 + [0.0] * 9] * 2, twelve)) == 1


def test_a_fall_is_told_against_the_best_of_the_run() -> None:
    """The early layer begins 1.5 decades below, comes up, and falls to 2 below: that is a fall of 2."""
    low, up = [-1.5, 0, 0, 0], [0.0] * 4
    assert leveled([low, low, low, [-2.0, 0, 0, 0], [-2.0, 0, 0, 0]], FOUR) == []
    found = leveled([low, up, up, low, [-2.6, 0, 0, 0], [-2.6, 0, 0, 0]], FOUR)
    assert [one.last_step for one in found] == [150]
    assert 76 in range(found[0].step - found[0].slack, found[0].step + 1)


def test_a_fall_of_a_place_in_depth_is_named_with_its_cause() -> None:
    """What reaches the first two layers vanishes, in weights and biases."""
    (told,) = leveled([[0.0] * 8] * 3 + [[-3.0] * 4 + [0.0] * 4] * 2, LAYERS)
    assert (told.column, told.columns) == (2, (0, 2))
    assert told.cause == "the gradient that reaches it is ×0.001 its usual size; that of 2.weight is unchanged"


def test_a_weight_without_a_gradient_is_no_drift_and_hides_none() -> None:
    found = leveled([[0.0] * 4] * 3 + [[np.nan, 0, 0, 0]] * 3, FOUR)
    assert [one.code for one in found if one.code in ("SG101", "SG201")] == []
    growing = leveled([[0.0] * 4] * 3 + [[np.nan, 3.0, 0.0, 3.5]] * 2, FOUR)
    assert [(one.code, one.column) for one in growing if one.code == "SG201"] == [("SG201", 3)]


def faded(decades: Sequence[float], losses: Sequence[float], blocks: int = 25) -> list[Symptom]:
    """What is told of levels of 25 rows each with these losses, of which those of a level are all alike."""
    given = rows(10.0 ** np.repeat(np.asarray(decades), 25), losses=np.repeat(np.asarray(losses), 25))
    return [one for one in judged(State(ONE), given, blocks=blocks) if one.lasting and one.code == "SG101"]


@pytest.mark.parametrize("blocks", [1, 25, 60, 1000])
def test_all_gradients_that_fall_while_the_loss_gets_worse_are_told_as_information(blocks: int) -> None:
    levels, losses = [0.0, -1.0, -2.0, -2.51, -2.51], [-0.8, -0.4, -0.1, -0.1, -0.1]
    assert faded(levels[:4], losses[:4], blocks) == []
    (told,) = faded(levels, losses, blocks)
    assert (told.severity, told.column, told.last_step) == (Severity.INFO, None, 125)
    assert told.message == (
        "all gradients together have shrunk by ×324 (2.5 decades), and the loss is -0.1, above the -0.8 of its first 10 steps: "
        "nothing pulls it back"
    )


@pytest.mark.parametrize(
    ("decades", "losses"),
    [
        ([0.0, -1.0, -2.0, -2.49, -2.49], [-0.8, -0.4, -0.1, -0.1, -0.1]),
        ([0.0, -1.0, -2.0, -3.0, -3.0], [2.0, 1.0, 0.1, 0.1, 0.1]),
        ([0.0, -1.0, -2.0, -3.0, -3.0], [1.0, 1.5, 1.5, 1.5, 1.5]),
        ([0.0, -1.0, -2.0, -3.0, -3.0], [1.0, 2.0, 2.0, 1.4, 2.0]),
        ([0.0, -3.0, -3.0, -3.0, 0.0], [1.0, 2.0, 2.0, 2.0, 2.0]),
    ],
    ids=[
        "less than 2.5 decades",
        "the loss falls",
        "the loss is up by half",
        "the loss was lower",
        "the gradient is back",
    ],
)
def test_gradients_that_fall_otherwise_are_no_such_thing(decades: list[float], losses: list[float]) -> None:
    assert [one for one in faded(decades, losses) if one.last_step == 125] == []
