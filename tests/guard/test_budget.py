"""What is beyond reading the gradients is put off until its share of the run's time is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad.watch.budget import Budget


@given(
    share=st.floats(1e-4, 1.0),
    cost=st.floats(1e-4, 10.0),
    step_time=st.floats(1e-4, 1.0),
    what=st.sampled_from(["looks", "updates"]),
)
def test_no_more_is_spent_than_the_share_and_one_piece(share: float, cost: float, step_time: float, what: str) -> None:
    budget, now, spent = Budget(share, 0.0), 0.0, 0.0
    for _ in range(300):
        now += step_time
        if budget.allows(what, now):
            budget.spend(what, cost)
            spent += cost
            now += cost
        assert spent <= share * now + cost


def test_looks_and_exact_updates_have_parts_of_their_own() -> None:
    budget = Budget(0.01, 0.0)
    budget.spend("looks", 1.0)
    assert not budget.allows("looks", 100.0) and budget.allows("updates", 100.0)
    assert budget.allows("looks", 1.0 / (0.01 * (1 - Budget.SAMPLES)) + 1e-6)


@pytest.mark.parametrize("what", ["looks", "updates"])
def test_the_first_piece_is_always_allowed(what: str) -> None:
    assert Budget(1e-9, 5.0).allows(what, 5.0)
