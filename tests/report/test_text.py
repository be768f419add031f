"""What a person sees in a terminal: pinned as text, never wider than asked, never a control code of the user's."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from steadygrad.record import Assumption, BlindSpot, Cost, Finding, Location, Severity
from steadygrad.report import FORMATS, render, wants_colour
from steadygrad.report.facts import facts
from steadygrad.report.layout import NARROWEST

from . import records

SNAPSHOTS = Path(__file__).parent / "snapshots"
REWRITE = bool(os.environ.get("STEADYGRAD_REWRITE_SNAPSHOTS"))
SGR = re.compile(r"\x1b\[[0-9;]*m")

EXTENSIONS = {"text": "txt", "concise": "txt", "github": "txt", "json": "json", "html": "html"}


def compare(name: str, text: str) -> None:
    path = SNAPSHOTS / name
    if REWRITE:
        path.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == path.read_text(encoding="utf-8"), "STEADYGRAD_REWRITE_SNAPSHOTS=1 writes the snapshots anew"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", records.ALL)
def test_text_is_as_pinned(name: str, width: int) -> None:
    compare(f"{name}-{width}.txt", render(records.ALL[name](), width=width, color="never"))


@pytest.mark.parametrize("form", ["concise", "github"])
@pytest.mark.parametrize("name", records.ALL)
def test_line_formats_are_as_pinned(name: str, form: str) -> None:
    compare(f"{name}-{form}.txt", render(records.ALL[name](), form))


@pytest.mark.parametrize("width", [20, NARROWEST, 53, 80, 81, 97, 120, 200])
@pytest.mark.parametrize("name", records.ALL)
def test_no_line_is_wider_than_asked(name: str, width: int) -> None:
    for line in render(records.ALL[name](), width=width, color="never").split("\n"):
        assert cell_len(line) <= max(width, NARROWEST), line


@pytest.mark.parametrize("form", ["text", "concise", "github", "html"])
@pytest.mark.parametrize("name", records.ALL)
def test_no_control_character_leaves(name: str, form: str) -> None:
    text = render(records.ALL[name](), form, width=80, color="never")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


@pytest.mark.parametrize("name", records.ALL)
def test_colours_change_nothing_but_colours(name: str) -> None:
    record = records.ALL[name]()
    coloured, plain = (render(record, width=80, color=choice) for choice in ("always", "never"))
    assert "\x1b[" in coloured
    assert [line.rstrip() for line in SGR.sub("", coloured).split("\n")] == plain.split("\n")


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_follow_the_environment(
    environment: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", Stream())
    assert wants_colour("auto") is coloured
    assert ("\x1b[" in render(records.healthy())) is coloured
    assert wants_colour("always")
    assert not wants_colour("never")


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ("x = torch.sigmoid(fc(x))", "torch.sigmoid(fc(x))"),
        ("\t\t\tx = torch.sigmoid(fc(x))", "torch.sigmoid(fc(x))"),
        ("x =\ttorch.sigmoid(fc(x))", "torch.sigmoid(fc(x))"),
        ("出力 = torch.sigmoid(層(入力))", "torch.sigmoid(層(入力))"),
        ("e\u0301 = torch.sigmoid(x)", "torch.sigmoid(x)"),
        ("x = " + "a + " * 60 + "torch.sigmoid(x)", "torch.sigmoid(x)"),
        ("x = torch.sigmoid(x)" + " + a" * 60, "torch.sigmoid(x)"),
    ],
)
def test_the_marks_stand_under_the_expression(source: str, expression: str) -> None:
    start = source.index(expression) + 1
    at = Location("net.py", 4, start, 4, start + len(expression), source)
    finding = replace(records.saturated(), location=at, label="")
    lines = render(replace(records.healthy(), findings=(finding,)), width=80, color="never").split("\n")
    marks = next(index for index, line in enumerate(lines) if "^" in line)
    before, cells = cell_len(lines[marks].split("^")[0]), lines[marks].count("^")
    shown, used = "", 0
    for character in lines[marks - 1]:
        shown += character if before <= used < before + cells else ""
        used += cell_len(character)
    assert shown == expression


def test_an_expression_wider_than_the_terminal_is_marked_to_the_edge() -> None:
    source = "x = f(" + "a, " * 100 + "b)"
    finding = replace(records.saturated(), location=Location("net.py", 4, 5, 4, len(source) + 1, source), label="slow")
    text = render(replace(records.healthy(), findings=(finding,)), width=80, color="never")
    assert "^^^^" in text
    assert max(map(cell_len, text.split("\n"))) <= 80


@pytest.mark.parametrize(
    "at",
    [
        Location("net.py", 9, 99, 9, 120, "short"),
        Location("net.py", 9, 5, 9, 5, "x = y"),
        Location("net.py", 9, 1, 12, 1, "one line only"),
        Location("net.py", 9, 9, 10, 1, "    x = f(\n)"),
        Location("net.py", 0, 0, 0, 0, "x"),
        Location("net.py", 9, 9, 7, 1, "x"),
        Location("", 1, 1, 1, 2, ""),
        Location("net.py", 1, 1, 2, 2, "\n\n"),
    ],
)
def test_a_place_that_does_not_fit_its_source_is_still_told(at: Location) -> None:
    finding = replace(records.saturated(), location=at, also=(at,))
    text = render(replace(records.healthy(), findings=(finding,)), width=80, color="never")
    assert f"{at.path}:{at.line}:{at.column}" in text


def test_paths_inside_the_current_directory_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside, outside = str(tmp_path / "models" / "net.py"), str(tmp_path.parent / "net.py")
    for path, shown in ((inside, os.path.join("models", "net.py")), (outside, outside), ("<stdin>", "<stdin>")):
        finding = replace(records.saturated(), location=Location(path, 9, 17, 9, 37), also=())
        record = replace(records.healthy(), findings=(finding,))
        assert f"--> {shown}:9:17 " in render(record, width=200, color="never")
        assert render(record, "concise").startswith(f"{shown}:9:17: error SG102 ")


def test_errors_come_before_warnings_and_notes() -> None:
    order = [Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.WARNING]
    findings = tuple(replace(records.saturated(), code=f"SG{i}", severity=kind) for i, kind in enumerate(order))
    text = render(replace(records.vanishing(), findings=findings), "concise")
    assert re.findall(r"SG\d", text) == ["SG2", "SG1", "SG3", "SG0"]
    assert text.endswith("1 error, 2 warnings, 1 note")


def test_a_healthy_report_is_one_line_unless_all_is_asked_for() -> None:
    line = "healthy: ResNet · in 10 steps the loss falls by 78% · probe 1.4× a plain step, 1.2 s"
    assert render(records.healthy(), width=120, color="never") == line
    first, *rest = render(records.healthy(), width=120, color="never", verbose=True).split("\n")
    assert first == line
    assert any("subject" in row for row in rest) and any("└ loss" in row for row in rest)


def test_a_healthy_line_names_what_was_assumed_and_not_seen() -> None:
    record = records.healthy()
    setup = replace(record.setup, assumptions=(Assumption("loss", "cross-entropy on the output"),))
    trace = replace(record.trace, blind_spots=(BlindSpot("a custom function", "Scale"),))
    text = render(replace(record, setup=setup, trace=trace), width=120, color="never")
    assert "assumed    loss: cross-entropy on the output" in text
    assert "not seen   a custom function, Scale" in text


def test_the_first_line_is_plain_and_the_last_one_says_what_to_type() -> None:
    record = records.vanishing()
    first, *_ = render(record, width=200, color="never").split("\n")
    assert re.fullmatch(
        r"Net will not train as set up: the first layer gets 10⁻\S+ of the gradient that the last one "
        r"gets, and in 10 steps the loss falls by \S+%\.",
        first,
    )
    typed = replace(record, setup=replace(record.setup, typed=("my net.py", "--arg", "depth=20")))
    last = render(typed, width=200, color="never").split("\n")[-1]
    assert last == "try: steadygrad cure 'my net.py' --arg depth=20"


def test_causes_that_pull_both_ways_have_no_share() -> None:
    record = records.vanishing()
    mixed = replace(
        record, trace=replace(record.trace, trunk=records.trunk([("weight scale", 8.0), ("activation", -1.0)]))
    )
    assert "%" not in next(
        row for row in render(mixed, color="never").split("\n") if "weight scale " in row and "8.0" in row
    )


def test_numbers_keep_their_unit_on_the_line() -> None:
    for width in range(NARROWEST, 121):
        for line in render(records.vanishing(), width=width, color="never").split("\n"):
            assert not re.match(r"[ |]*%", line)


def test_every_format_draws_every_record() -> None:
    # That of code scanning needs a package that may not be here; test_sarif.py draws it.
    for form in set(FORMATS) - {"sarif"}:
        for make in records.ALL.values():
            text = render(make(), form)
            assert text and not text.endswith("\n")


def test_an_empty_finding_and_no_cost_are_drawn() -> None:
    bare = Finding("SG1", "n", Severity.INFO, "", None, "", (), ())
    record = replace(records.nonfinite(), findings=(bare,), cost=Cost(None, 0.0), notes=(), tiers=())
    assert "info[SG1]: n:" in render(record, width=80, color="never")


def test_a_batch_that_was_made_is_told_of_once() -> None:
    record = records.healthy()
    made = replace(record, setup=replace(record.setup, batch="8 × 4", assumptions=(Assumption("batch", "8 × 4"),)))
    assert [name for name, text in facts(made) if "8 × 4" in text] == ["assumed"]
    given = replace(record, setup=replace(record.setup, batch="8 × 4", assumptions=()))
    assert [name for name, text in facts(given) if "8 × 4" in text] == ["batch"]
