"""The memory of a run: what a resumed run knows of the one before it, medians of what is known, and levels."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadygrad.detect.history import State, add_level, level_now, medians
from steadygrad.detect.judge import limits
from steadygrad.record.rows import Columns
from tests.detect.made import LAYERS, ONE, then, warm


def resumed(state: State, columns: Columns | None = None) -> State:
    return State.from_plain(columns or state.columns, json.loads(json.dumps(state.as_plain())))


def long_run(columns: Columns = LAYERS, steps: int = 225) -> State:
    """A run with norms and losses that move, and a weight that paused at two times."""
    state = State(columns)
    norms = np.exp(0.1 * np.random.default_rng(0).standard_normal((steps, len(columns.names))))
    norms[60:90, 2] = norms[100:110, 2] = 0.0
    then(state, norms, losses=2.0 + np.sin(np.arange(steps)))
    return state


def test_a_resumed_run_has_the_limits_of_the_one_before() -> None:
    state = long_run()
    before, after = limits(state), limits(resumed(state))
    assert after.norms == pytest.approx(before.norms) and after.total == pytest.approx(before.total)
    assert after.loss == before.loss and math.isfinite(after.total)
    young = long_run(steps=20)
    assert limits(resumed(young)).total == pytest.approx(limits(young).total) and math.isfinite(limits(young).total)


@pytest.mark.parametrize(
    ("norms", "rates", "losses"),
    [
        (lambda one: one, 0.125, 2.0),
        (lambda one: 30 * one, 0.125, 2.0),
        (lambda one: one, 0.125, 40.0),
        (lambda one: one, 0.0, 2.0),
        (lambda one: 30 * one, 1.0, 2.0),
        (lambda one: 0 * one, 0.125, 2.0),
        (lambda one: one * ([1.0] * 2 + [0.0] * 2 + [1.0] * 4), 0.125, 2.0),
        (lambda one: one * ([0.0] * 2 + [1.0] * 6), 0.125, 2.0),
        (lambda one: np.where(np.arange(len(one))[:, None] < 5, one, -1.0), 0.125, 2.0),
    ],
    ids=["healthy", "spike", "leap", "rate-0", "rate-leaps", "dead", "paused", "idle", "detached"],
)
def test_a_resumed_run_tells_the_same(norms: object, rates: float, losses: float) -> None:
    """The rows of a level that was not full yet are not kept: here there are none."""
    state = long_run()
    again = resumed(state)
    again.last = state.last
    given_norms = norms(np.ones((130, 8)))  # type: ignore[operator]
    known = np.full(130, losses)
    told = then(state, given_norms, rates=rates, losses=known)
    again_told = then(again, given_norms, rates=rates, losses=known)
    assert [replace(one, norm=0.0) for one in again_told] == [replace(one, norm=0.0) for one in told]


def test_a_resumed_run_knows_since_when_a_weight_is_idle() -> None:
    norms = np.ones((15, 8))
    norms[:, [2, 3]] = 0.0
    state = warm(LAYERS)
    assert then(state, norms) == []
    again = resumed(state)
    again.last = 75
    found = then(again, norms)
    assert [(one.step, one.last_step, one.column) for one in found] == [(61, 80, 2)]


def test_a_resumed_run_knows_the_levels_that_it_drifts_from() -> None:
    state = warm(LAYERS, steps=100)
    again = resumed(state)
    again.last = 100
    found = [one for one in then(again, np.full((50, 8), 600.0)) if one.lasting]
    assert [(one.code, one.last_step) for one in found] == [("SG201", 150)]


def test_a_resumed_run_of_other_parameters_keeps_what_has_the_same_name() -> None:
    norms = np.ones(8) * np.arange(1, 9)
    state = warm(LAYERS, norms=norms, steps=70)
    turned = Columns(LAYERS.names[::-1], LAYERS.sizes[::-1], LAYERS.weights[::-1])
    assert limits(resumed(state, turned)).norms == pytest.approx(limits(state).norms[::-1])
    wider = Columns(("new", *LAYERS.names), (64, *LAYERS.sizes), (True, *LAYERS.weights))
    of = limits(resumed(state, wider))
    assert of.norms[1:] == pytest.approx(limits(state).norms)
    assert of.norms[0] == np.finfo(np.float32).max and of.total == pytest.approx(limits(state).total)
    state.idle[:], state.alive[:], state.gap[:], state.idle_since[:] = (
        np.arange(8) + start for start in (1, 11, 21, 31)
    )
    again = resumed(state, wider)
    for kept, start in ((again.idle, 1), (again.alive, 11), (again.gap, 21), (again.idle_since, 31)):
        assert kept.tolist() == [0, *range(start, start + 8)]
    assert again.seen.tolist() == [0, *[70] * 9] and np.isnan(again.window[:, 0]).all()


def test_what_an_older_release_did_not_keep_begins_empty() -> None:
    plain = long_run().as_plain()
    for name in ("gap", "highest", "losses"):
        del plain[name]
    again = State.from_plain(LAYERS, plain)
    assert again.gap.tolist() == [0] * 8 and again.highest == -math.inf and again.losses.count == 0
    assert math.isfinite(limits(again).total)


def test_a_young_run_is_warm_at_the_same_row_after_it_was_resumed() -> None:
    for rows, words in ((49, "the largest before it"), (50, "its median")):
        again = resumed(warm(steps=rows))
        again.last = rows
        (spike,) = then(again, [20.0])
        assert words in spike.message


KNOWN = st.floats(-50, 50)


@given(arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 3)), elements=KNOWN | st.just(math.nan)))
def test_the_median_is_over_what_is_known(rows: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(rows, axis=0)
    np.testing.assert_allclose(medians(rows), expected, rtol=1e-12, atol=1e-12)


def test_the_median_of_nothing_is_not_known() -> None:
    assert np.isnan(medians(np.zeros((0, 2)))).all()


def test_the_level_now_is_the_median_of_the_last_twenty_totals() -> None:
    assert level_now(State(ONE)) == -math.inf
    state = warm()
    then(state, [5.0] * 11)
    assert level_now(state) == pytest.approx(math.log10(5))
    state = warm()
    then(state, [5.0] * 10)
    assert level_now(state) == pytest.approx(math.log10(5) / 2)
    then(state, [5.0] * 10)
    then(state, [1.0] * 9)
    assert level_now(state) == pytest.approx(math.log10(5))


def test_only_the_last_hundred_rows_say_what_is_usual() -> None:
    state = warm()
    then(state, np.full(150, 5.0))
    assert limits(state).total == pytest.approx(50.0)
    then(state, np.full(51, 1.0))
    assert limits(state).total == pytest.approx(10.0)


def test_a_step_above_the_bound_does_not_raise_what_a_young_run_is_compared_with() -> None:
    state = warm(steps=10)
    assert len(then(state, [20.0])) == 1 and limits(state).total == pytest.approx(10.0)
    then(state, [10.0])
    assert limits(state).total == pytest.approx(100.0)


def leveled(totals: list[float]) -> State:
    state = State(Columns(("a", "b"), (64, 64), (True, True)))
    for at, total in enumerate(totals):
        add_level(state, 25 * (at + 1), np.array([total, 0.0, total]))
    return state


def test_levels_are_compared_with_the_lowest_and_the_greatest_up_to_it() -> None:
    """The last one is compared, and does not count yet."""
    state = leveled([1.0, 2.0, 0.5, 3.0, 0.2])
    assert (state.lowest, state.reference, state.peak) == ((0.5, 75), 2.0, 3.0)
    state = leveled([1.0, 2.0, 0.5, 3.0, 0.2, 0.2])
    assert (state.lowest, state.reference) == ((0.2, 125), 3.0)
    state = leveled([1.0, 1.0, 1.0])
    assert state.lowest == (1.0, 25), "the first of those as low"


def test_a_weight_is_compared_with_the_greatest_of_its_level_and_its_best_but_the_last_two() -> None:
    state = leveled([1.0, -1.0, -2.0, -3.0])
    assert [one.tolist() for one in state.against] == [[0.0, -1.0], [-1.0, 0.0], [-2.0, 0.0], [-3.0, 0.0]]
    assert state.best.tolist() == [0.0, 0.0]
    assert leveled([1.0, -1.0, -2.0]).best.tolist() == [0.0, -1.0]


def test_levels_that_are_not_known_are_compared_with_nothing() -> None:
    state = leveled([1.0])
    add_level(state, 50, np.array([math.nan, 1.0, 1.0]))
    assert math.isnan(state.against[-1][0]) and state.against[-1][1] == 0.0
    add_level(state, 75, np.full(3, math.nan))
    assert np.isnan(state.against[-1]).all()
    none = State(Columns(("a.bias",), (8,), (False,)))
    add_level(none, 25, np.array([1.0, 1.0]))
    assert none.against == []


def test_beyond_four_hundred_levels_every_other_one_is_left_out() -> None:
    assert len(leveled([0.0] * 400).levels) == 400
    state = leveled([0.0] * 401)
    assert [step for step, _ in state.levels[:3]] == [25, 75, 125] and state.levels[-1][0] == 25 * 401
    assert len(state.levels) == len(state.against) == 201
