"""Where a change of norms begins, as weights and biases of four layers show it."""

from __future__ import annotations

import numpy as np
import pytest

from steadygrad.detect.depth import Origin, began_at
from steadygrad.record.rows import Columns
from tests.detect.made import LAYERS


def began(weights: list[float], biases: list[float], sign: int = 1) -> Origin:
    """``weights``, ``biases``: decades by which the norm of each layer's changed."""
    return began_at(LAYERS, np.array([one for pair in zip(weights, biases, strict=True) for one in pair]), sign)


STILL = [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("sign", "factor"), [(1, "×10"), (-1, "×0.1")])
def test_all_weights_without_their_biases_show_the_input_of_the_model(sign: int, factor: str) -> None:
    found = began([sign * 1.0] * 4, STILL, sign)
    assert found == Origin(0, f"the input of the model is {factor} its usual size", "input")


@pytest.mark.parametrize(("sign", "factor"), [(1, "×10"), (-1, "×0.1")])
@pytest.mark.parametrize("layer", [0, 1])
def test_weights_behind_a_layer_without_their_biases_show_its_output(layer: int, sign: int, factor: str) -> None:
    found = began([0.0] * (layer + 1) + [sign * 1.0] * (3 - layer), STILL, sign)
    assert found == Origin(2 * layer, f"its output is {factor} its usual size", "output")


def test_the_last_weight_without_its_bias_shows_the_output_in_front_of_it() -> None:
    assert began([0.0, 0.0, 0.0, 1.0], STILL)[::2] == (4, "output")


def test_the_first_weight_alone_shows_the_input_of_the_model() -> None:
    assert began([1.0, 0.0, 0.0, 0.0], STILL)[::2] == (0, "input")


@pytest.mark.parametrize("layer", [1, 2])
def test_one_weight_alone_was_changed_by_a_hook_or_a_write(layer: int) -> None:
    found = began([1.0 if at == layer else 0.0 for at in range(4)], STILL)
    assert found == Origin(2 * layer, "its gradient alone is ×10 its usual size: a hook or a write changed it", "")


@pytest.mark.parametrize(("bias", "column"), [(0.29, 2), (-0.29, 2), (0.31, 0), (-0.31, 0)])
def test_a_weight_whose_bias_moves_by_a_factor_of_two_is_not_alone(bias: float, column: int) -> None:
    assert began([0.0, 1.0 + bias, 0.0, 0.0], [0.0, bias, 0.0, 0.0]).column == column


@pytest.mark.parametrize(("behind", "column"), [(0.24, 2), (0.26, 0)])
@pytest.mark.parametrize("layer", [2, 3])
def test_a_weight_is_alone_where_none_behind_it_moves_by_half_as_much_as_is_clear(
    layer: int, behind: float, column: int
) -> None:
    assert began([0.0, 1.0, *(behind if at == layer else 0.0 for at in (2, 3))], STILL).column == column


@pytest.mark.parametrize(("sign", "factor"), [(1, "×10"), (-1, "×0.1")])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_layers_up_to_one_show_the_gradient_that_reaches_it(layer: int, sign: int, factor: str) -> None:
    changed = [sign * 1.0] * (layer + 1) + [0.0] * (3 - layer)
    found = began(changed, changed, sign)
    behind = f"{layer + 1}.weight"
    assert found == Origin(
        2 * layer, f"the gradient that reaches it is {factor} its usual size; that of {behind} is unchanged", "back"
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_place_is_clear_from_half_a_decade_on(sign: int) -> None:
    for decades, into, back in ((0.5, "output", "back"), (0.49, "", "")):
        assert began([0.0, 0.0] + [sign * decades] * 2, STILL, sign).place == into
        assert began([sign * decades] * 2 + [0.0] * 2, [sign * decades] * 2 + [0.0] * 2, sign).place == back


def test_a_place_takes_at_least_two_fifths_of_the_greatest_change() -> None:
    assert began([0.0, 2.0, 4.0, 5.0], STILL)[::2] == (0, "output")
    assert began([0.0, 1.9, 3.8, 5.0], STILL) == Origin(None)
    assert began([5.0, 3.0, 1.1, 0.0], [5.0, 3.0, 1.1, 0.0])[::2] == (0, "back")
    assert began([5.0, 3.1, 1.2, 0.0], [5.0, 3.1, 1.2, 0.0]) == Origin(None)


def test_an_input_is_named_before_a_gradient_that_reaches_a_layer() -> None:
    assert began([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0])[::2] == (2, "output")


def test_all_gradients_that_rise_alike_show_the_gradient_of_the_loss() -> None:
    cause = "the gradients of all layers grow by the same factor: the gradient of the loss is ×10 its usual size"
    assert began([1.0] * 4, [1.0] * 4) == Origin(None, cause, "loss")
    assert began([0.5] * 4, [0.5] * 4).place == "loss"
    assert began([0.49] * 4, [0.49] * 4) == Origin(None)
    assert began([-1.0] * 4, [-1.0] * 4, -1) == Origin(None), "a fall may have many causes"


@pytest.mark.parametrize(("last", "place"), [(1.39, "loss"), (1.41, "")])
def test_gradients_grow_alike_within_two_fifths_of_their_median(last: float, place: str) -> None:
    assert began([1.0, 1.0, 1.0, last], [1.0, 1.0, 1.0, last]).place == place


@pytest.mark.parametrize(("layers", "column"), [(2, None), (3, 0)])
def test_fewer_than_three_layers_show_no_place(layers: int, column: int | None) -> None:
    columns = Columns(LAYERS.names[: 2 * layers], LAYERS.sizes[: 2 * layers], LAYERS.weights[: 2 * layers])
    assert began_at(columns, np.array([1.0, 0.0] * layers), 1).column == column


@pytest.mark.parametrize("unknown", [[0], [1], [0, 3]])
def test_a_layer_of_which_a_change_is_not_known_does_not_count(unknown: list[int]) -> None:
    change = np.array([9.0, 9.0] + [1.0, 0.0] * 3)
    change[unknown] = np.nan
    assert began_at(LAYERS, change, 1).column == (2 if len(unknown) == 1 else None)
