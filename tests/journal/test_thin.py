"""Laws of merging neighbouring rows, whatever the rows and however they are grouped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.journal import read
from steadygrad.journal.store import BATCH, Store
from steadygrad.journal.thin import EXTREMES, LOSSES, POINTS, Columns, merge, pairs
from tests.journal.runs import watched

PARAMETERS = 3
NAMES = ("a", "b", "c")

numbers = st.one_of(st.floats(1e-30, 1e30), st.sampled_from([0.0, float("inf"), float("nan")]))
positive = st.floats(1e-6, 1e6)


@st.composite
def points(draw: st.DrawFn, values: st.SearchStrategy[float] = numbers) -> Columns:
    rows = draw(st.integers(1, 40))
    gaps = draw(st.lists(st.integers(1, 5), min_size=rows, max_size=rows))
    first = np.cumsum(gaps)
    norms = np.array(draw(st.lists(values, min_size=rows * PARAMETERS, max_size=rows * PARAMETERS)), dtype=np.float32)
    totals = np.array(draw(st.lists(positive, min_size=rows, max_size=rows)))
    factors = np.array(draw(st.lists(st.sampled_from([0.1, 0.5, 1.0]), min_size=rows, max_size=rows)))
    norms = norms.reshape(rows, PARAMETERS)
    return {
        "place": np.arange(rows),
        "first": first,
        "last": first.copy(),
        "count": np.ones(rows, dtype=np.int64),
        "time": np.array(draw(st.lists(st.floats(-1e9, 1e9), min_size=rows, max_size=rows))),
        "high": totals,
        "low": totals.copy(),
        "after_high": totals * factors,
        "after_low": totals * factors,
        "factor": factors,
        "clipped": (factors < 1).astype(np.int64),
        "rate": np.linspace(1, 2, rows),
        "norms": norms,
        "peaks": norms.copy(),
    }


def groups(draw: st.DrawFn, rows: int) -> np.ndarray:
    chosen = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    return np.flatnonzero([True, *chosen[1:]]).astype(np.int64)


@st.composite
def merged_twice(draw: st.DrawFn, values: st.SearchStrategy[float] = numbers) -> tuple[Columns, Columns]:
    """Rows, and the same merged in two rounds of arbitrary groups."""
    columns = draw(points(values))
    once = merge(columns, groups(draw, len(columns["first"])), POINTS)
    return columns, merge(once, groups(draw, len(once["first"])), POINTS)


@pytest.mark.long
@given(merged_twice())
def test_step_ranges_partition_the_steps(both: tuple[Columns, Columns]) -> None:
    rows, merged = both
    assert merged["first"][0] == rows["first"][0]
    assert merged["last"][-1] == rows["last"][-1]
    assert (merged["first"] <= merged["last"]).all()
    assert (merged["last"][:-1] < merged["first"][1:]).all()
    inside = (rows["first"][:, None] >= merged["first"]) & (rows["first"][:, None] <= merged["last"])
    assert (inside.sum(axis=1) == 1).all()
    assert (inside.sum(axis=0) == merged["count"]).all()


@pytest.mark.long
@given(merged_twice())
def test_counts_add_up_and_extremes_stay(both: tuple[Columns, Columns]) -> None:
    rows, merged = both
    assert merged["after_high"].max() == rows["after_high"].max()
    assert merged["after_low"].min() == rows["after_low"].min()
    for name in ("count", "clipped"):
        assert merged[name].sum() == rows[name].sum()
    assert merged["high"].max() == rows["high"].max()
    assert merged["low"].min() == rows["low"].min()
    assert merged["factor"].min() == rows["factor"].min()
    assert np.array_equal(
        np.fmax.reduce(merged["peaks"], axis=0), np.fmax.reduce(rows["peaks"], axis=0), equal_nan=True
    )
    assert merged["time"][0] == rows["time"][0]
    assert merged["rate"][-1] == rows["rate"][-1]


@pytest.mark.long
@given(merged_twice(positive))
def test_the_geometric_mean_is_that_of_all(both: tuple[Columns, Columns]) -> None:
    rows, merged = both
    logs = (np.log(merged["norms"].astype(float)) * merged["count"][:, None]).sum(axis=0) / merged["count"].sum()
    assert np.allclose(logs, np.log(rows["norms"].astype(float)).mean(axis=0), atol=1e-4)


@pytest.mark.long
@given(merged_twice())
def test_no_gradient_stays_none_and_zero_stays_zero(both: tuple[Columns, Columns]) -> None:
    rows, merged = both
    for first, last, norms in zip(merged["first"], merged["last"], merged["norms"], strict=True):
        share = rows["norms"][(rows["first"] >= first) & (rows["first"] <= last)]
        assert np.array_equal(np.isnan(norms), np.isnan(share).all(axis=0))
        only_zero = ((share == 0) | np.isnan(share)).all(axis=0) & (share == 0).any(axis=0)
        assert (norms[only_zero] == 0).all()
        assert np.isfinite(norms[(np.isfinite(share) & (share > 0)).any(axis=0)]).all()


def test_the_loss_is_a_mean_of_what_is_finite_and_what_is_not_shows_in_its_high() -> None:
    value = np.array([1.0, np.nan, 3.0, 5.0])
    columns = {
        "place": np.arange(4),
        "first": np.arange(4),
        "last": np.arange(4),
        "count": np.array([1, 1, 1, 3]),
        "mean": value,
        "low": value,
        "high": np.where(np.isnan(value), np.inf, value),
    }
    merged = merge(columns, pairs(4), LOSSES)
    assert merged["mean"].tolist() == [1.0, 4.5]
    assert merged["high"].tolist() == [np.inf, 5.0]


def test_the_rank_goes_with_its_extreme() -> None:
    columns = {
        "place": np.arange(3),
        "first": np.arange(3),
        "last": np.arange(3),
        "lowest": np.array([3.0, 1.0, np.nan]),
        "highest": np.array([4.0, 9.0, np.nan]),
        "lowest_rank": np.array([7, 8, 0]),
        "highest_rank": np.array([5, 6, 1]),
    }
    merged = merge(columns, np.array([0, 2]), EXTREMES)
    assert merged["lowest_rank"].tolist() == [8, 0]
    assert merged["highest_rank"].tolist() == [6, 1]


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 3000), block=st.integers(1, 700), most=st.integers(1, 500), capacity=st.sampled_from([128, 192])
)
def test_a_journal_of_any_length_keeps_these_laws(
    tmp_path_factory: pytest.TempPathFactory, rows: int, block: int, most: int, capacity: int
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.sgj"
    store = Store(path, {}, watched(NAMES))
    store.capacity = capacity
    steps = 4 * np.arange(1, rows + 1)
    totals = np.random.default_rng(rows).lognormal(size=rows)
    for begin in range(0, rows, block):
        part = slice(begin, min(rows, begin + block))
        store.begin()
        store.append("points", 0, _first_rows(steps[part], totals[part]))
        store.commit()
    store.finish()
    store.close()

    stored = read(path, most=10**9).series
    levels = 1 + int(np.log2(max(1, rows / capacity) + 1))
    assert len(stored) <= (levels + 1) * (capacity + BATCH)
    for series in (stored, read(path, most=most).series):
        assert len(series) <= max(most, len(stored) if series is stored else 0)
        assert series.counts.sum() == rows
        assert series.clipped.sum() == rows // 2
        assert series.high.max() == totals.max()
        assert series.low.min() == totals.min()
        assert (series.steps[0], series.last_steps[-1]) == (steps[0], steps[-1])
        assert (series.last_steps[:-1] < series.steps[1:]).all()
        assert np.isin(steps, np.concatenate([series.steps, series.last_steps])).any()
    newest = stored.steps[-min(rows, capacity) :]
    assert np.array_equal(newest, steps[-len(newest) :])


def _first_rows(steps: np.ndarray, totals: np.ndarray) -> Columns:
    rows = len(steps)
    norms = np.tile(totals[:, None], (1, PARAMETERS)).astype(np.float32)
    clipped = (steps // 4 % 2 == 0).astype(np.int64)
    factors = np.where(clipped, 0.5, 1.0)
    return {
        "first": steps,
        "last": steps,
        "count": np.ones(rows, dtype=np.int64),
        "time": steps * 1.0,
        "high": totals,
        "low": totals,
        "after_high": totals * factors,
        "after_low": totals * factors,
        "factor": factors,
        "clipped": clipped,
        "rate": np.full(rows, 1e-3),
        "norms": norms,
        "peaks": norms,
    }
