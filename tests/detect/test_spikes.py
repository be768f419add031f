"""One row far above those before it: from which norm on, at which step, and as what."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.judge import limits
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns
from tests.detect.made import LAYERS, ONE, then, warm

BLOCKS = pytest.mark.parametrize("blocks", [1, 200])


@BLOCKS
def test_a_norm_of_more_than_ten_times_its_median_is_a_spike_at_that_step(blocks: int) -> None:
    assert then(warm(), [1.0, 10.0, 1.0], blocks=blocks) == []
    (spike,) = then(warm(), [1.0, 10.1, 1.0], blocks=blocks)
    assert (spike.code, spike.severity, spike.step, spike.last_step) == ("SG206", Severity.WARNING, 62, 62)
    assert (spike.column, spike.columns, spike.slack, spike.kind) == (0, (0,), 0, FaultKind.UNKNOWN)
    assert spike.norm == pytest.approx(10.1)
    assert spike.message == "its gradient norm is ×10.1 its median (1); the total norm is ×10.1 its median"


def test_a_norm_of_a_thousand_times_its_median_is_no_longer_a_spike() -> None:
    assert [(one.code, one.severity) for one in then(warm(), [999.0])] == [("SG206", Severity.WARNING)]
    assert [(one.code, one.severity) for one in then(warm(), [1000.0])] == [("SG201", Severity.ERROR)]


def test_a_norm_that_varies_must_leave_its_deviations_too() -> None:
    """Half of the norms are 1, half are ×2: their median is ×√2 and their robust deviation 0.223 decades, twelve of them 2.7."""
    for norm, codes in ((600.0, []), (800.0, ["SG206"])):
        state = warm()
        assert then(state, [1.0, 2.0] * 50) == []
        assert [one.code for one in then(state, [norm])] == codes


@pytest.mark.parametrize(("rows", "told"), [(2, False), (3, True), (49, True)])
def test_a_young_run_is_compared_with_the_largest_before_from_its_fourth_step_on(rows: int, told: bool) -> None:
    state = warm(steps=rows)
    assert then(state, [10.0]) == []
    state = warm(steps=rows)
    found = then(state, [10.1])
    assert [(one.step, one.code) for one in found] == [(rows + 1, "SG206")] * told
    if told:
        assert found[0].message == "the total gradient norm is ×10.1 the largest before it (1)"


def test_a_run_is_warm_from_its_fiftieth_row_on() -> None:
    """The run began a hundred times as high: that hides a leap while it is young."""
    norms = [100.0, *[1.0] * 48]
    young, old = State(ONE), State(ONE)
    assert then(young, norms) == [] and then(young, [50.0]) == []
    assert then(old, [*norms, 1.0]) == []
    (spike,) = then(old, [50.0])
    assert spike.step == 51
    assert spike.message == "its gradient norm is ×50 its median (1); the total norm is ×50 its median"


@BLOCKS
def test_a_gradient_that_grew_within_the_last_rows_leaps_only_above_those(blocks: int) -> None:
    """×2.5 (0.4 decades) above the greatest of the five rows before, also where that was told already."""
    assert [one.step for one in then(warm(), [8.0, 8.0, 20.0], blocks=blocks)] == []
    assert [one.step for one in then(warm(), [8.0, 8.0, 20.2], blocks=blocks)] == [63]
    quiet = [1.0, 1.0, 1.0, 1.0]
    assert [one.step for one in then(warm(), [20.0, *quiet, 30.0], blocks=blocks)] == [61]
    assert [one.step for one in then(warm(), [20.0, *quiet, 1.0, 30.0], blocks=blocks)] == [61, 67]
    assert [one.step for one in then(warm(), [20.0, *quiet, 51.0], blocks=blocks)] == [61, 66]


def test_what_a_warm_run_has_burst_to_without_being_told_is_usual() -> None:
    """A norm of 9 was no spike: 20 is usual after it, at any distance, and 23 is not."""
    state = warm()
    assert then(state, [9.0, *[1.0] * 30, 22.0]) == []
    assert [one.step for one in then(state, [1.0] * 8 + [60.0])] == [101]


def test_a_norm_that_comes_down_to_its_bursts_has_not_come_down_to_its_usual() -> None:
    found = then(warm(), [9.0, *[1.0] * 30, 25.0, 20.0, 9.0])
    assert [(one.step, one.last_step) for one in found] == [(92, 92), (92, 93)]


def test_a_burst_of_a_young_run_says_nothing_of_a_warm_one() -> None:
    state = State(ONE)
    then(state, [9.0, *[1.0] * 60])
    assert [one.step for one in then(state, [12.0])] == [62]


@BLOCKS
def test_a_norm_that_stays_up_is_one_spike_and_from_its_twentieth_row_on_an_explosion(blocks: int) -> None:
    found = then(warm(), [1.0, *[20.0] * 20, 1.0, 1.0], blocks=blocks)
    assert [one.code for one in found] == ["SG206"] * 19 + ["SG201"]
    assert {one.step for one in found} == {62}
    assert [one.last_step for one in found] == list(range(62, 82))
    assert found[-1].severity is Severity.ERROR and found[-1].message.endswith(", for 20 steps now")
    assert "steps now" not in found[-2].message


def test_a_spike_after_another_has_ended_begins_anew() -> None:
    state = warm()
    found = then(state, [20.0, 20.0, *[1.0] * 6, 60.0])
    assert [(one.step, one.last_step) for one in found] == [(61, 61), (61, 62), (69, 69)]


def test_unread_steps_before_a_spike_leave_its_beginning_open() -> None:
    assert [(one.step, one.slack) for one in then(warm(), [20.0], gap=9)] == [(70, 9)]
    state = warm()
    then(state, [1.0], gap=4)
    assert [(one.step, one.slack) for one in then(state, [1.0, 20.0], blocks=2)] == [(67, 0)]


@pytest.mark.parametrize(("big", "small", "told"), [(3.9, 1.0, True), (4.0, 1.0, False)])
def test_a_layer_alone_may_leap_where_the_total_rises_less_than_fivefold(big: float, small: float, told: bool) -> None:
    """The first of two norms leaps twentyfold: the total rises from √(1 + 3.9²) to √(20² + 3.9²), by 0.704 decades."""
    columns = Columns(("a.weight", "b.weight"), (64, 64), (True, True))
    state = warm(columns, norms=[small, big])
    assert [one.step for one in then(state, [[20.0, big]])] == [61] * told


@pytest.mark.parametrize(("norm", "told"), [(1000.0, False), (1010.0, True)])
def test_a_layer_alone_must_leap_a_thousandfold(norm: float, told: bool) -> None:
    columns = Columns(("a.weight", "b.weight"), (64, 64), (True, True))
    found = then(warm(columns, norms=[1.0, 1e4]), [[norm, 1e4]])
    assert [(one.step, one.column) for one in found] == [(61, 0)] * told


@pytest.mark.parametrize(("norm", "told"), [(6e6, False), (8e6, True)])
def test_a_layer_alone_that_varies_must_leap_by_thirty_deviations(norm: float, told: bool) -> None:
    """Norms of 1 and 2: thirty deviations are 6.7 decades above √2: 7e6."""
    columns = Columns(("a.weight", "b.weight"), (64, 64), (True, True))
    state = warm(columns, norms=[1.0, 1e9])
    assert then(state, [[1.0, 1e9], [2.0, 1e9]] * 50) == []
    found = then(state, [[norm, 1e9]])
    assert [one.column for one in found] == [0] * told


def test_a_bias_is_not_judged_by_itself() -> None:
    columns = Columns(("a.weight", "a.bias"), (64, 8), (True, False))
    assert then(warm(columns, norms=[1e6, 1.0]), [[1e6, 1e4]]) == []


def test_a_bias_that_moves_the_total_shows_by_the_weight_that_rises_most() -> None:
    columns = Columns(("a.weight", "a.bias", "b.weight"), (64, 8, 64), (True, False, True))
    (spike,) = then(warm(columns), [[2.0, 100.0, 3.0]])
    assert (spike.column, spike.columns) == (2, ())
    assert spike.message.startswith("the total gradient norm is ×57.8 its median (1.7)")
    assert spike.norm == pytest.approx(3.0)


def test_an_explosion_of_all_together_is_a_thousand_times_the_total() -> None:
    columns = Columns(("a.weight", "a.bias"), (64, 8), (True, False))
    for bias, code in ((1.41e3, "SG206"), (1.42e3, "SG201")):
        assert [one.code for one in then(warm(columns), [[2.0, bias]])] == [code]


@pytest.mark.parametrize(("others", "words"), [(1, "and 1 more weight spikes in"), (2, "and 2 more weights spike in")])
def test_several_weights_that_spike_are_one_symptom(others: int, words: str) -> None:
    columns = Columns(("a.weight", "b.weight", "c.weight"), (64,) * 3, (True,) * 3)
    norms = [30.0, 50.0, 40.0 if others == 2 else 1.0]
    (spike,) = then(warm(columns), [norms])
    assert (spike.column, spike.columns) == (1, tuple(range(others + 1)))
    assert spike.message.startswith("its gradient norm is ×50 its median (1), ") and words in spike.message


def test_a_spike_of_a_place_in_depth_is_of_that_layer_and_names_the_greatest() -> None:
    """The weights behind the second layer rise without their biases: its output is at fault."""
    (spike,) = then(warm(LAYERS), [[1.0] * 4 + [20.0, 1.0, 30.0, 1.0]])
    assert (spike.column, spike.columns, spike.origin) == (2, (4, 6), "output")
    assert spike.message.startswith("the gradient norm of 3.weight is ×30 its median")
    assert spike.cause == "its output is ×20 its usual size"


def test_a_spike_of_all_layers_alike_is_of_no_layer() -> None:
    (spike,) = then(warm(LAYERS), [20.0])
    assert (spike.column, spike.origin) == (None, "loss")
    assert spike.message.startswith("the gradient norm of 0.weight is ×20")


@pytest.mark.parametrize(("behind", "code"), [(0, "SG204"), (10, "SG204"), (11, "SG206")])
def test_a_spike_within_ten_rows_of_a_leap_of_the_rate_is_put_down_to_it(behind: int, code: str) -> None:
    state = warm()
    norms = np.ones(behind + 1)
    norms[-1] = 20.0
    (spike,) = then(state, norms, rates=1.0)
    assert spike.code == code
    if code == "SG204":
        assert (spike.step, spike.severity, spike.kind) == (61, Severity.ERROR, FaultKind.RATE)
        assert spike.cause == "the learning rate jumped from 0.125 to 1"
    else:
        assert (spike.step, spike.kind) == (72, FaultKind.UNKNOWN)


def test_a_spike_before_a_leap_of_the_rate_is_not_put_down_to_it() -> None:
    found = then(warm(), [20.0, 20.0], rates=[0.125, 1.0], blocks=2)
    assert {one.code for one in found} == {"SG206"}


@pytest.mark.parametrize(
    ("rows", "rate", "leapt"), [(5, 1.0, True), (4, 1.0, False), (60, 0.625, False), (60, 0.63, True)]
)
def test_a_rate_leaps_by_more_than_five_times_from_the_sixth_row_on(rows: int, rate: float, leapt: bool) -> None:
    (spike,) = then(warm(steps=rows), [20.0], rates=rate)
    assert spike.code == ("SG204" if leapt else "SG206")


def test_the_first_rate_above_zero_is_no_leap() -> None:
    state = State(ONE)
    then(state, np.ones(60), rates=0.0)
    assert [one.code for one in then(state, [20.0], rates=1.0)] == ["SG206"]


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("norms", "column", "columns", "message"),
    [
        ([1, 1, NAN, 1, 1, 1, 1, 1], 2, (2,), "the gradient of 1 of 8 parameters is NaN"),
        ([1, 1, INF, 1, 1, 1, -1, 1], 2, (2,), "the gradient of 1 of 7 parameters is infinite"),
        ([NAN, 1, 1, 1, INF, NAN, 1, 1], 4, (0, 4, 5), "the gradients of 3 of 8 parameters are infinite or NaN"),
        ([NAN, 1, NAN, 1, 1, 1, 1, 1], 2, (0, 2), "the gradients of 2 of 8 parameters are NaN"),
        ([1, NAN, 1, NAN, 1, 1, 1, 1], 3, (1, 3), "the gradients of 2 of 8 parameters are NaN"),
        ([NAN] * 8, 0, tuple(range(8)), "the gradients of all 8 parameters are NaN"),
        ([NAN, -1, NAN, -1, -1, -1, -1, -1], 0, (0, 2), "the gradients of all 2 parameters are NaN"),
    ],
)  # fmt: skip
def test_of_the_gradients_that_are_not_finite_the_weight_nearest_the_output_was_hit_first(
    norms: list[float], column: int, columns: tuple[int, ...], message: str
) -> None:
    (told,) = then(warm(LAYERS), [norms])
    assert (told.code, told.severity, told.step, told.last_step) == ("SG203", Severity.ERROR, 61, 61)
    assert (told.column, told.columns, told.message) == (column, columns, message)
    assert not math.isfinite(told.norm)


def test_one_parameter_that_is_all_there_is() -> None:
    (told,) = then(warm(), [NAN], gap=3)
    assert told.message == "the gradient of 1 of 1 parameters is NaN"
    assert (told.step, told.slack) == (64, 3)


def test_a_young_run_tells_what_is_not_finite_at_its_first_step() -> None:
    assert [(one.code, one.step) for one in then(State(ONE), [INF, 1.0])] == [("SG203", 1)]


def test_a_row_needs_a_judgement_at_once_from_the_norm_that_is_told() -> None:
    of = limits(warm(LAYERS))
    assert of.norms == pytest.approx([10.0] * 8, rel=1e-5)
    assert of.total == pytest.approx(10 * math.sqrt(8), rel=1e-5) and of.loss == math.inf


def test_a_young_run_has_a_limit_of_its_total_alone() -> None:
    of = limits(warm(LAYERS, steps=10, losses=1.0))
    assert (of.norms == np.finfo(np.float32).max).all()
    assert of.total == pytest.approx(10 * math.sqrt(8), rel=1e-5) and of.loss == 4.0
