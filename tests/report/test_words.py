"""Numbers and strings as a reader meets them."""

from __future__ import annotations

import math

import pytest

from steadygrad import numerals
from steadygrad.record import Evidence
from steadygrad.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.24, "0.24"),
        (17.234, "17.2"),
        (-12.4, "−12.4"),
        (999.6, "1,000"),
        (87050, "87,050"),
        (1e6, "1e6"),
        (1.234e-15, "1.23e-15"),
        (1e-15, "1e-15"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert numerals.number(value) == shown


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (Evidence("saturated units", 0.72, "share", "under 50%"), "saturated units: 72%, expected under 50%"),
        (Evidence("decades lost", 17.2, "decades", "under 4"), "decades lost: 17.2, expected under 4"),
        (Evidence("rms", 0.24, "of a maximum of 0.25", ""), "rms: 0.24 of a maximum of 0.25"),
        (Evidence("cost", 1.5, "×", ""), "cost: 1.5×"),
        (Evidence("lost", 3.0, "decades", ""), "lost: 3 decades"),
    ],
)
def test_evidence_reads_as_a_phrase(item: Evidence, shown: str) -> None:
    assert words.evidence([item]) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-17.24, "17.2 decades lost"),
        (0.3, "0.3 decades gained"),
        (0.0, "no decade lost or gained"),
        (-0.04, "no decade lost or gained"),
        (math.nan, "decades unknown"),
        (math.inf, "∞ decades gained"),
    ],
)
def test_decades_say_their_direction(value: float, shown: str) -> None:
    assert numerals.decades(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.02, "20 ms"), (0.31, "0.3 s"), (12.3, "12 s"), (130.0, "2 min"), (math.inf, "inf s")]
)
def test_seconds(value: float, shown: str) -> None:
    assert numerals.seconds(value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 字 é", "plain 字 é"),
        ("a\tb\nc\r\nd", "a b c  d"),
        ("\x1b[2J\x07\x9b", "�[2J��"),
        ("abc\u202edef\u2066\u2028", "abc�def��"),
        ("\u2764\ufe0f", "\u2764"),
        ("\udcff", "�"),
        ("", ""),
    ],
)
def test_clean_text_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert words.clean(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the gradient gains 3.5 decades on the trunk", "the gradient gains ×3,200 (3.5 decades) on the trunk"),
        ("it loses 853.2 decades", "it loses ×1.6e853 (853.2 decades)"),
        ("has grown by ×631 (2.8 decades)", "has grown by ×631 (2.8 decades)"),
        ("changes by ×7.3e-4 (−3.1 decades)", "changes by ×7.3e-4 (−3.1 decades)"),
        ("takes 12.2 of the 17.2 decades lost", "takes 12.2 of the 17.2 decades lost"),
    ],
)
def test_decades_stand_beside_their_factor(text: str, shown: str) -> None:
    assert numerals.with_factors(text) == shown
