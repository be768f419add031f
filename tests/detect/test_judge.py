"""What holds of all rules: the blocks of a young run say nothing, a run without losses or rows is judged as well."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.detect.history import State
from steadygrad.detect.judge import judge, logs
from tests.detect.made import LAYERS, ONE, judged, rows, then, warm


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([1.0, 3.0, 9.0, 30.0, 0.0, -1.0, float("nan")]), min_size=1, max_size=60),
    st.lists(st.sampled_from([1.0, 2.0, 9.0, float("nan")]), min_size=60, max_size=60),
    st.integers(2, 49),
)
def test_a_young_run_tells_the_same_whatever_the_blocks(norms: list[float], losses: list[float], blocks: int) -> None:
    given_rows = rows(norms, losses=losses[: len(norms)])
    young = rows(norms[:49], losses=losses[: len(norms[:49])])
    assert repr(judged(State(ONE), young, blocks=blocks)) == repr(judged(State(ONE), young))
    told = [one.step for one in judged(State(ONE), given_rows, blocks=blocks)]
    assert told == sorted(told)


def test_no_rows_tell_nothing() -> None:
    for state in (State(LAYERS), warm(LAYERS)):
        assert judge(state, rows(np.zeros((0, 8)), losses=[])) == []


def test_symptoms_are_in_the_order_of_their_steps() -> None:
    """A spike in the second row, NaN in the fourth, a loss that leaps in the first."""
    norms = np.ones((4, 8))
    norms[1], norms[3] = 20.0, np.nan
    found = then(warm(LAYERS, losses=1.0), norms, losses=[9.0, 1.0, 1.0, 1.0], blocks=4)
    assert [(one.code, one.step) for one in found] == [("SG207", 61), ("SG206", 62), ("SG203", 64)]


def test_the_decades_of_a_row_end_with_those_of_all_together() -> None:
    found = logs(rows([[3.0, 4.0, -1.0], [0.0, 0.0, -1.0], [np.nan, 1.0, 1.0], [np.inf, 10.0, 1.0]]))
    nan = np.nan
    expected = [[0.4771, 0.6021, nan, 0.699], [-45, -45, nan, -45], [nan, 0, 0, nan], [nan, 1, 0, nan]]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_a_row_that_is_not_finite_says_nothing_of_what_is_usual(blocks: int) -> None:
    state = warm()
    found = then(state, [np.nan, 1.0, np.inf, 1.0, 20.0], blocks=blocks)
    assert [(one.code, one.step) for one in found] == [("SG203", 61), ("SG203", 63), ("SG206", 65)]


def test_a_run_without_a_finite_row_is_never_warm() -> None:
    state = State(ONE)
    assert len(then(state, np.full(60, np.nan))) == 60
    assert then(state, [1.0, 1.0, 1.0, 9.0]) == []
    assert [one.step for one in then(state, [200.0])] == [65]
