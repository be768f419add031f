"""A step's update: too large for the weights, harmful behind it, none at all, rounded away, or not a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from steadygrad.detect.history import PendingUpdate, State
from steadygrad.detect.judge import limits, logs
from steadygrad.detect.symptoms import Symptom
from steadygrad.detect.updates import Traits, confirmed, judge_update, judge_updates, traits_of
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns, Estimates, Updates
from tests.detect.made import rows, then, warm

THREE = Columns(("a.weight", "a.bias", "b.weight"), (64, 8, 192), (True, False, True), fan_ins=(64, 0, 64))
NAN, INF = math.nan, math.inf
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


# A large update that is told where the rows behind it show harm.


def pending(ratio: float = 0.4, loss: float = 1.0, **given: Any) -> State:
    """A run whose step 61 changed its weights by much, without a usual update to compare that with."""
    state = warm(THREE, losses=loss if math.isfinite(loss) else None)
    then(state, [1.0], losses=[loss])
    assert updated(state, 61, [ratio] * 3, loss=loss, **given) == []
    return state


@pytest.mark.parametrize(("ratio", "waits"), [(1 / 3, True), (0.333, False)])
def test_an_update_of_a_third_waits_for_the_rows_behind_it(ratio: float, waits: bool) -> None:
    state = pending(ratio)
    assert (limits(state).loss == -INF) == waits
    assert bool(then(state, [1.0], losses=[1.6])) == waits


@pytest.mark.parametrize(
    ("loss", "harmless", "harmful", "words"),
    [(1.0, 1.5, 1.51, "from 1 to 1.51"), (-2.0, -1.0, -0.99, "from -2 to -0.99"), (4.0, 6.0, 6.01, "from 4 to 6.01")],
)
def test_a_loss_that_rises_by_half_its_size_shows_harm(
    loss: float, harmless: float, harmful: float, words: str
) -> None:
    assert then(pending(loss=loss), [1.0], losses=[harmless]) == []
    (one,) = then(pending(loss=loss), [1.0], losses=[harmful])
    assert (one.code, one.severity, one.step, one.last_step) == ("SG204", Severity.ERROR, 61, 62)
    assert (one.column, one.columns, one.kind) == (0, (0, 2), FaultKind.RATE)
    assert one.message == (
        f"one step changes this weight by 0.4 times its norm, and 1 more weight by over a third; the loss then rises {words}"
    )
    assert one.cause == "the learning rate of 0.125 is too high for this optimizer"


def test_a_gradient_that_grows_threefold_shows_harm() -> None:
    assert then(pending(), [3.1], losses=[1.0]) == []
    (one,) = then(pending(), [3.2], losses=[1.0])
    assert one.message.endswith("; the gradient norm then grows by ×3.2") and one.step == 61
    assert len(then(pending(loss=NAN), [3.2], losses=[NAN])) == 1


def test_what_was_not_known_of_the_step_shows_no_harm() -> None:
    assert then(pending(loss=NAN), [1.0], losses=[1e6]) == []
    assert then(pending(total=NAN), [9.0], losses=[1.0]) == []


@pytest.mark.parametrize(("norm", "loss", "harm"), [(NAN, 1.0, True), (1.0, INF, True), (1.0, NAN, False)])
def test_a_next_step_that_is_not_finite_shows_harm(norm: float, loss: float, harm: bool) -> None:
    found = [one for one in then(pending(), [norm], losses=[loss]) if one.code == "SG204"]
    assert [one.message.endswith("; the next step is not finite") for one in found] == [True] * harm


@pytest.mark.parametrize("blocks", [1, 10])
@pytest.mark.parametrize(("quiet", "harm"), [(2, True), (3, False)])
def test_harm_shows_within_three_rows(quiet: int, harm: bool, blocks: int) -> None:
    state = pending()
    found = then(state, np.ones(quiet + 1), losses=[1.0] * quiet + [1.6], blocks=blocks)
    assert [one.step for one in found] == [61] * harm
    assert limits(state).loss > 0, "it waits no longer"


def test_rows_before_the_step_show_no_harm_of_it() -> None:
    state = warm(THREE, losses=1.0)
    assert updated(state, 61, [0.4] * 3) == []
    assert then(state, [1.0], losses=[1.6]) == []
    assert len(then(state, [1.0], losses=[1.6])) == 1


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ([0.4, 9.0, QUIET], "0.4 times its norm; the"),
        ([0.4, 0.1, 0.5], "0.5 times its norm, and 1 more weight by over a third; the"),
    ],
)
def test_a_harmful_update_names_the_weight_it_changed_most(ratios: list[float], words: str) -> None:
    state = warm(THREE, losses=1.0)
    then(state, [1.0], losses=[1.0])
    updated(state, 61, ratios)
    (one,) = then(state, [1.0], losses=[1.6])
    assert words in one.message and one.column == (2 if "more" in words else 0)


def test_a_program_that_subtracts_by_itself_has_no_rate_to_blame() -> None:
    (one,) = then(pending(rate=NAN), [1.0], losses=[1.6])
    assert one.kind is FaultKind.UNKNOWN and one.cause.startswith("what the program subtracts")


def test_only_the_first_of_several_waits() -> None:
    state = pending()
    updated(state, 62, [0.5] * 3)
    assert [one.step for one in then(state, [1.0, 1.0], losses=[1.0, 1.6], blocks=2)] == [61]


def test_an_update_that_was_told_does_not_wait() -> None:
    state = ran()
    assert len(updated(state, 61, [0.5] * 3)) == 1
    assert limits(state).loss == INF


def test_a_large_last_step_of_a_run_is_told() -> None:
    state, none, some = pending(), rows(np.zeros((0, 3))), rows(np.ones((1, 3)), steps=[61])
    assert list(confirmed(state, some, logs(some))) == []
    (one,) = confirmed(state, some, logs(some), ending=True)
    assert one.message.endswith("; the run ends right after it") and one.last_step == 61
    (one,) = confirmed(pending(), none, logs(none), ending=True)
    assert one.last_step == 61
    later = rows(np.ones((1, 3)), steps=[62])
    assert list(confirmed(pending(), later, logs(later), ending=True)) == []


def test_three_weights_are_two_more() -> None:
    state = warm(THREE)
    state.pending_update = PendingUpdate(61, 0, 0.4, (0, 1, 2), 1.0, 0.0, 0.1)
    (one,) = confirmed(state, rows(np.zeros((0, 3))), np.zeros((0, 4)), ending=True)
    assert "and 2 more weights by over a third" in one.message


# Blocks of estimates.


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
