"""How often steps are read: never more than the budget allows, and the first steps tell nothing of the others."""

from __future__ import annotations

import pytest

from steadygrad.watch.budget import HOOK, SAMPLES, SETTLING, UNSEEN, WARMING, WIDEST, Budget, steady


def settled(share: float, step_time: float, cost: float, *, first: float = 0.0) -> int:
    """The interval after the first windows, on a clock of our own. ``first``: seconds that each warming step takes beside."""
    now, step = 100.0, 0
    budget = Budget(share, now)
    for reads, extra in ((WARMING, first), (SETTLING, 0.0)):
        for at in range(reads):
            step += 1
            now += step_time + extra + cost
            assert budget.read(cost) == (at == reads - 1)
        if budget.known:
            return budget.interval(step, now)
        budget.settled(step, now, 1)
    raise AssertionError


@pytest.mark.parametrize("step_time", [0.004, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("cost", [1e-4, 1e-3])
@pytest.mark.parametrize("share", [0.01, 0.05])
def test_reads_exact_updates_and_idle_hooks_stay_within_it(step_time: float, cost: float, share: float) -> None:
    interval = settled(share, step_time, cost)
    whole = share * step_time
    if whole / 2 >= HOOK and interval < WIDEST:
        parts = (1 - SAMPLES) * (whole - HOOK)
        assert (cost + UNSEEN) / interval + HOOK + SAMPLES * (whole - HOOK) <= whole * (1 + 1e-9)
        assert interval == 1 or (cost + UNSEEN) / (interval - 1) > parts * (1 - 1e-9)


def test_hooks_take_no_more_than_half_of_it() -> None:
    assert settled(0.01, 1e-4, 1e-6) == pytest.approx(2 * (1e-6 + UNSEEN) / (0.75 * 0.01 * 1e-4), abs=1)


def test_never_more_rarely_than_the_widest() -> None:
    assert settled(1e-6, 1e-3, 1.0) == WIDEST


def test_what_the_first_steps_take_counts_for_nothing() -> None:
    assert settled(0.01, 0.01, 1e-3, first=60.0) == settled(0.01, 0.01, 1e-3)


def test_windows_grow_until_all_ranks_are_to_agree() -> None:
    budget, windows, step = Budget(0.01, 0.0), [], 0
    for _ in range(7):
        reads = 1
        while not budget.read(0.0):
            reads += 1
        windows.append(reads)
        step += reads
        budget.settled(step, float(step), 1)
    assert windows == [2, 8, 32, 128, 512, 1024, 1024]


def test_a_small_change_is_none() -> None:
    assert steady(20, 25) and steady(20, 15) and steady(1, 1)
    assert not steady(20, 26) and not steady(1, 2)
