"""A rule's page is its first test: *Example* raises exactly this code on the marked expression, *Use instead* nothing."""

from __future__ import annotations

import re
import runpy
from collections.abc import Sequence
from pathlib import Path

import pytest

import steadygrad
from steadygrad import rules
from steadygrad.source.spans import recording_constructions

PAGES = {rule.code: rule for rule in rules.load()}
MARK = re.compile(r"^\s*#\s*(\^+) (SG\d+)$")
WHOLE = re.compile(r"^\s*(\S.*)  # (SG\d+)$")
"""A statement that is marked as a whole, on its own line."""


def section(rule: rules.Rule, heading: str) -> str:
    return re.split(r"^## ", rule.doc, flags=re.MULTILINE)[1 + rules.HEADINGS.index(heading)]


def code_of(rule: rules.Rule, heading: str) -> str:
    (block,) = re.findall(r"```python\n(.*?)```", section(rule, heading), flags=re.DOTALL)
    return str(block)


Found = Sequence[steadygrad.Finding | steadygrad.Alarm]


def checked(code: str, folder: Path) -> Found:
    """What a check of ``setup()`` finds, or the guard that ``train()`` gives."""
    path = folder / "page.py"
    path.write_text(code, encoding="utf-8")
    page = runpy.run_path(str(path))
    if "train" in page:
        guard = page["train"]()
        guard.flush()
        return list(guard.alarms)
    with recording_constructions():
        model, batch, loss_fn, optimizer = page["setup"]()
    report = steadygrad.check(model, batch, loss_fn, optimizer=optimizer)
    return [finding for finding in report.findings if finding.severity != "info"]


@pytest.mark.parametrize("code", PAGES)
def test_a_page_has_its_headings_in_order(code: str) -> None:
    assert re.findall(r"^## (.*)$", PAGES[code].doc, flags=re.MULTILINE) == list(rules.HEADINGS)
    assert PAGES[code].summary.endswith(".") and len(PAGES[code].summary) < 120
    for heading in rules.HEADINGS:
        assert section(PAGES[code], heading).partition("\n")[2].strip(), heading


@pytest.mark.parametrize("code", PAGES)
def test_its_code_fits_a_terminal_of_80_columns(code: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGES[code].doc, flags=re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 78] == []


@pytest.mark.parametrize("code", PAGES)
def test_the_example_raises_this_code_where_it_is_marked(code: str, tmp_path: Path) -> None:
    text = code_of(PAGES[code], "Example")
    found = checked(text, tmp_path)
    assert [finding.code for finding in found] == [code], [f"{f.code} {f.message}" for f in found]
    lines = text.splitlines()
    marks = [(number, match) for number, line in enumerate(lines) if (match := MARK.match(line))]
    marks += [(number, match) for number, line in enumerate(lines, 1) if (match := WHOLE.match(line))]
    if not marks:
        assert found[0].location is None
        return
    ((number, match),) = marks
    place = found[0].location
    assert place is not None
    assert match[2] == code
    assert place.line == number, f"line {place.line}, marked {number}"
    assert (place.column, place.end_column) == (match.start(1) + 1, match.end(1) + 1), place.text


@pytest.mark.parametrize("code", PAGES)
def test_what_to_use_instead_raises_nothing(code: str, tmp_path: Path) -> None:
    found = checked(code_of(PAGES[code], "Use instead"), tmp_path)
    assert [f"{f.code} {f.message}" for f in found] == []
