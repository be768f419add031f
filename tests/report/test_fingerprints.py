"""A finding is the same finding after edits elsewhere, and another one where its expression is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steadygrad.record import Finding
from steadygrad.report.fingerprints import fingerprints
from tests.report import records

ROOT = Path("/repository")


def at(line: int, text: str = "torch.sigmoid(fc(x))", **more: str) -> Finding:
    place = replace(records.SIGMOID, line=line, end_line=line, column=1, end_column=1 + len(text), source=text)
    return replace(records.saturated(), location=replace(place, **more))  # type: ignore[arg-type]


def test_lines_and_blanks_do_not_count() -> None:
    assert (
        fingerprints([at(9)], ROOT)
        == fingerprints([at(90)], ROOT)
        == fingerprints([at(9, "torch.sigmoid(fc(x))  ")], ROOT)
    )


def test_rule_file_and_expression_count() -> None:
    others = [at(9), at(9, "torch.tanh(x)"), at(9, path="other.py"), replace(at(9), code="SG101")]
    assert len({fingerprints([one], ROOT)[0] for one in others}) == 4


def test_equal_expressions_are_numbered_from_the_top_in_whatever_order_they_come() -> None:
    upper, lower = fingerprints([at(9), at(30)], ROOT)
    assert upper != lower
    assert fingerprints([at(31), at(10)], ROOT) == [lower, upper]


def test_a_module_stands_for_a_place_that_is_not_known() -> None:
    first, second = (replace(records.saturated(), location=None, module=name) for name in ("fcs.0", "fcs.1"))
    assert fingerprints([first], ROOT) != fingerprints([second], ROOT)
