"""What is recorded of the public reports is what their table says, the page is made of it, and two kinds are asked again."""

from __future__ import annotations

import pytest

from bench.reports.ask import WAYS, check
from bench.reports.judged import as_told, errors, judge, read
from bench.reports.kinds import KINDS, WHICH
from bench.reports.page import PAGE, answers, page

ROWS = read()
BY_NAME = {kind.name: kind for kind in KINDS}


def test_every_sick_script_was_seen_to_fail_and_every_mended_one_to_train() -> None:
    assert len(KINDS) >= 25
    for kind in KINDS:
        for which in WHICH:
            assert as_told(kind, which, float(ROWS[kind.name, which]["trained"])), (kind.name, which)


def test_a_sick_script_differs_from_its_mended_one_and_says_what_it_is() -> None:
    for kind in KINDS:
        sick, fixed = (kind.path(which).read_text(encoding="utf-8") for which in WHICH)
        assert sick.startswith("# Kind: "), kind.name
        assert sick.splitlines()[1:] != fixed.splitlines()[1:], kind.name
        assert "# <- here" not in fixed, kind.name


def test_the_page_is_made_of_the_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(ROWS)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_found_is_told_with_its_cause(way: str) -> None:
    told = answers(ROWS, way)
    assert sum(one.cause for one in told.values()) > len(told) / 2


@pytest.mark.parametrize("name", ["zero_norm", "column_against_row"])
def test_asked_again(name: str) -> None:
    kind = BY_NAME[name]
    sick, fixed = (
        {"findings": told.findings, "verdict": told.verdict}
        for told in (check(kind, w, *kind.arguments(w)) for w in WHICH)
    )
    judged = judge(kind, sick, "check")
    assert judged.found and judged.cause and judged.line
    assert not errors(fixed)
