"""Numbers and factors as a person writes them, and what a symptom is that says no more."""

from __future__ import annotations

import math

import pytest

from steadygrad.detect.symptoms import Symptom, change, plain, times
from steadygrad.record import Severity


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0"),
        (12, "12"),
        (1.2345, "1.23"),
        (-1.2345, "-1.23"),
        (0.001, "0.001"),
        (0.0015, "0.0015"),
        (0.00099, "9.9e-4"),
        (999.4, "999"),
        (999.5, "1,000"),
        (1234.5, "1,230"),
        (18_000, "18,000"),
        (999_400, "999,000"),
        (1e6, "1.0e6"),
        (-1.5e6, "-1.5e6"),
        (3.2e7, "3.2e7"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_a_number_as_a_person_writes_it(number: float, written: str) -> None:
    assert plain(number) == written


def test_as_many_digits_as_asked_for() -> None:
    assert (plain(1.2345, 2), plain(1234.5, 2)) == ("1.2", "1,200")


@pytest.mark.parametrize(
    ("factor", "written"),
    [(0.0042, "×0.0042"), (123.4, "×123"), (999, "×999"), (1234, "×1,200"), (18_345, "×18,000"), (3.2e7, "×3.2e7")],
)
def test_a_factor_has_three_digits_below_a_thousand_and_two_above(factor: float, written: str) -> None:
    assert times(factor) == written


@pytest.mark.parametrize(("decades", "written"), [(2.0, "×100 (2.0 decades)"), (-2.5, "×316 (2.5 decades)")])
def test_a_change_is_a_factor_with_its_decades(decades: float, written: str) -> None:
    assert change(decades) == written


def test_a_symptom_is_one_steps_doing_until_it_says_more() -> None:
    one = Symptom("SG206", Severity.WARNING, 7, None, "it spikes")
    assert (one.last_step, one.slack) == (0, 0)
    assert not (one.at_step or one.lasting or one.of_the_loop or one.explained)
