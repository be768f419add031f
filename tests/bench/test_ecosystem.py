"""What is recorded of the public training programs is identical and right; the page is made of it; two are run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.ecosystem import record
from bench.ecosystem.page import PAGE, page
from bench.ecosystem.program import every, read
from bench.ecosystem.run import Ran, difference, run

PROGRAMS, ROWS = every(), record.read()


def test_every_program_is_in_the_record_and_at_least_thirty_are() -> None:
    assert set(ROWS) == set(PROGRAMS)
    assert len(PROGRAMS) >= 30


def test_all_are_identical_bare_and_watched_and_rightly_told_of() -> None:
    assert {name: row["apart"] for name, row in ROWS.items() if row["apart"]} == {}
    assert {name: row["wrong"] for name, row in ROWS.items() if row["wrong"]} == {}
    assert all(row["lines"] >= 10 for row in ROWS.values())


def test_the_page_is_made_of_the_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(ROWS)


def test_a_program_that_does_not_say_what_is_right_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("# Shape: a net\nimport torch\n")
    with pytest.raises(ValueError, match=r"Expected"):
        read(path)


def test_a_program_may_be_one_more_with_other_arguments(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("# Shape: a net\n# Expected: no error\n# With --lr 400: error SG204\nimport torch\n")
    one, other = read(path)
    assert (one.name, one.arguments, one.expected) == ("train", (), ())
    assert (other.name, other.arguments, other.expected) == ("train_--lr_400", ("--lr", "400"), ("SG204",))
    assert one.path == other.path


@pytest.fixture(scope="module")
def bare() -> Ran:
    return run(PROGRAMS["distillation"], None)


@pytest.mark.long
def test_run_again(bare: Ran) -> None:
    watched = run(PROGRAMS["distillation"], ())
    assert difference(PROGRAMS["distillation"], bare, watched) == ""
    assert record.wrong(PROGRAMS["distillation"], watched.journals) == ""


@pytest.mark.long
@pytest.mark.parametrize("changed", ["weights", "random", "loss", "standard output", "a step less"])
def test_a_difference_is_found(bare: Ran, changed: str) -> None:
    lines = json.loads(json.dumps(bare.lines))
    (process,) = lines
    if changed == "a step less":
        lines[process].pop()
    elif changed in lines[process][2] or changed == "weights":
        at = next(number for number, line in enumerate(lines[process]) if changed in line)
        lines[process][at][changed] = "another"
    out = bare.out + "x" if changed == "standard output" else bare.out
    found = difference(PROGRAMS["distillation"], bare, Ran(0, out, bare.err, lines, 0.0, (), ()))
    assert found and ("line" in found or changed in found)


def test_differences_between_two_records_are_told() -> None:
    one = next(iter(ROWS.values()))
    before = {"a": one, "b": one, "c": {**one, "words": "healthy"}}
    told = list(record.differences({"b": one, "c": {**one, "words": "at risk"}, "d": one}, before))
    assert told[0] == "- a: not run"
    assert told[1] == "  c, words: healthy -> at risk"
    assert told[2].startswith("+ d: ")
