"""The picture of the gradient: vanishing, flat and exploding are told apart at a glance, at any depth."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from rich.cells import cell_len

from steadygrad.record import Trunk
from steadygrad.report.profile import LEAST_RANGE, ROWS, caption, chart, levels, sample, span, sparkline

from .records import trunk


def heights(road: Trunk, width: int = 70) -> list[int]:
    """Filled cells of each column of the picture."""
    curves = [curve for _, curve in chart(road, width)[:-1]]
    columns = max(map(len, curves))
    return [sum(curve[column : column + 1].strip() != "" for curve in curves) for column in range(columns)]


def steps(count: int, decades: float) -> Trunk:
    return trunk(count * [("weight scale", decades / count)])


@pytest.mark.parametrize("count", [1, 2, 7, 40, 700, 10_000])
def test_vanishing_falls_flat_stays_exploding_rises(count: int) -> None:
    falling, flat, rising = (heights(steps(count, total)) for total in (-17.0, 0.3, 17.0))
    assert (falling[0], falling[-1]) == (ROWS, 1)
    assert (rising[0], rising[-1]) == (1, ROWS)
    assert set(flat) == {ROWS // 2 + 1}
    assert all(a >= b for a, b in pairwise(falling))


@pytest.mark.parametrize("total", [-1227.0, -853.0, -17.0, -1.0, 0.0, 1.0, 300.0])
def test_the_range_holds_the_curve_and_never_less_than_eight_decades(total: float) -> None:
    low, high = span(levels(steps(30, total)))
    assert high - low == pytest.approx(max(LEAST_RANGE, abs(total)))


@pytest.mark.parametrize("width", [30, 76, 116])
@pytest.mark.parametrize("count", [1, 3, 500, 10_000])
def test_the_picture_fits(width: int, count: int) -> None:
    rows = chart(steps(count, -853.0), width)
    assert len(rows) == ROWS + 1
    assert all(cell_len(axis + curve) <= width for axis, curve in rows)
    assert rows[-1][1].startswith(" loss")
    assert rows[-1][1].endswith(" input 0")


@pytest.mark.parametrize("count", [1, 2, 59, 60, 61, 10_000])
def test_sampling_keeps_ends_and_count(count: int) -> None:
    values = [float(i) for i in range(count)]
    drawn = sample(values, 60)
    assert len(drawn) == 60
    assert drawn == sorted(drawn)
    assert drawn[0] <= count / 60
    assert drawn[-1] >= (count - 1) * (1 - 1 / 60)


def test_a_gradient_of_exactly_zero_is_said_and_marked() -> None:
    road = trunk([("loss", 0.0), ("weight scale", -math.inf), ("other", math.nan)])
    assert caption(road).endswith("exactly zero after 2 of 3 steps")
    assert chart(road, 60)[ROWS - 1][1].endswith("0")
    assert math.isnan(road.decades)


def test_a_trunk_without_steps_is_drawn() -> None:
    assert levels(Trunk("input 0", (), -1.0)) == [-1.0]
    assert len(chart(Trunk("input 0", (), math.nan), 60)) == ROWS + 1


def test_a_loss_that_stays_is_a_flat_line() -> None:
    assert sparkline([2.3, 2.3, 2.2999]) == "███"
    assert sparkline([4.0, 2.0, 0.0]) == "█▅▁"
    assert sparkline([-1.0, -2.0]) == "▅▁"
    assert sparkline([1.0, math.inf]) == "█∞"
    assert sparkline([0.0]) == ""
