"""``steadygrad lab``: listed, explained, run, written; a user's own experiment beside those that come with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from steadygrad.cli import main
from steadygrad.lab import load

OWN = '''
import torch
from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading


@experiment(quick={"nets": 5}, limits={"nets": (2, 1000)})
def halving(*, nets: int = 50, factor: float = 0.5):
    """A product of halves vanishes.

    ## Claim

    0.5 to the power of n is below any bound.

    ## Parameters

    - nets: products
    - factor: what is multiplied
    """
    print("a word of the user's own")
    ends = [factor**20 * (1 + 0.1 * float(torch.rand(()))) for _ in range(nets)]
    steps = range(21)
    figure = Panel("Product", "factors", "value", [Curve("product", steps, [factor**n for n in steps])])
    return Outcome([mean_reading("after 20 factors", ends, greatest=1e-3)], [figure], "It vanished.")
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my.py"
    path.write_text(OWN)
    return path


def test_the_list_has_a_line_for_each_within_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["lab"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [one.name for one in load()]
    assert max(map(len, lines)) <= 80


def test_explain_prints_the_page(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    assert main(["lab", "explain", "depth-product", "--output-format", "markdown"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# depth-product\n") and "## Refuted by" in said and "| depth | 200 (2 to 400) |" in said
    assert main(["lab", "explain", f"{own}:halving"]) == 0
    assert "0.5 to the power of n" in capsys.readouterr().out


def test_one_is_shown_whole_and_its_verdict_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "run", "squash", "--quick"]) == 0
    said = capsys.readouterr().out
    for part in ("claim", "source", "measurement", "refuted by", "a sigmoid", "✓", "supported ·"):
        assert part in said
    assert main(["lab", "run", "squash", "--quick", "--set", "activation=relu"]) == 1
    assert "refuted at these settings ·" in capsys.readouterr().out


@pytest.mark.long
def test_several_get_a_line_each_and_the_page_has_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = tmp_path / "book.html"
    assert main(["lab", "run", "squash", "blame", "squash", "--quick", "--html", str(book)]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [["squash", "supported"], ["blame", "supported"]]
    assert err.splitlines() == [f"written into {book}"]
    source = book.read_text(encoding="utf-8")
    assert source.count("<article") == 2 and "steadygrad lab run blame --quick" in source


def test_json_and_text_go_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "out.json"
    assert main(["lab", "run", "squash", "--quick", "--output-format", "json", "--output-file", str(saved)]) == 0
    body = json.loads(saved.read_text(encoding="utf-8"))
    assert [one["name"] for one in body["experiments"]] == ["squash"]
    assert main(["lab", "run", "squash", "blame", "--quick", "--output-file", str(saved)]) == 0
    text = saved.read_text(encoding="utf-8")
    assert "squash: " in text and "blame: " in text and "\x1b" not in text
    assert capsys.readouterr().out == ""


def test_a_users_own_experiment_runs_as_those_here_do(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "figure.svg"
    assert main(["lab", "run", f"{own}:halving", "--quick", "--set", "factor=0.25", "--figure", str(figure)]) == 0
    out, err = capsys.readouterr()
    # Without the spaces: a long name of the folder is broken over lines.
    assert "my.py:halving: A product of halves vanishes.".replace(" ", "") in "".join(out.split())
    assert "nets 5, factor 0.25, seed 0, quick" in out and "✓ after 20 factors" in out
    # What it prints goes to standard error, so that JSON on standard output stays JSON.
    assert "a word of the user's own" in err and "a word" not in out
    assert "Product" in figure.read_text(encoding="utf-8")
    assert main(["lab", "run", str(own), "--set", "factor=0.99"]) == 1


def test_the_seed_decides(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for seed in ("3", "3", "4"):
        assert main(["lab", "run", f"{own}:halving", "--seed", seed, "--output-format", "json"]) == 0
        seen.append(json.loads(capsys.readouterr().out)["experiments"][0]["readings"][0]["value"])
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.long
def test_all_runs_everything_and_one_bad_one_does_not_end_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise ValueError("nothing works")

    chosen = tuple(
        replace(one, measure=lambda: broken) if one.name == "residual" else one
        for one in load()
        if one.name in ("squash", "residual", "blame")
    )
    monkeypatch.setattr("steadygrad.lab.load", lambda: chosen)
    assert main(["lab", "run", "--all", "--quick", "--html", str(tmp_path / "book.html")]) == 2
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["squash", "blame"]
    assert "residual cannot be measured with" in err and "nothing works" in err and "Traceback" not in err
    assert (tmp_path / "book.html").read_text(encoding="utf-8").count("<article") == 2


def test_what_ran_before_the_user_stopped_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(**_: object) -> None:
        raise KeyboardInterrupt

    chosen = tuple(
        replace(one, measure=lambda: stopped) if one.name == "residual" else one
        for one in load()
        if one.name in ("squash", "residual", "blame")
    )
    monkeypatch.setattr("steadygrad.lab.load", lambda: chosen)
    assert main(["lab", "run", "--all", "--quick", "--html", str(tmp_path / "book.html")]) == 130
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["squash"]
    assert "stopped after 1 of 3" in err
    assert (tmp_path / "book.html").read_text(encoding="utf-8").count("<article") == 1


@pytest.mark.long
def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m steadygrad lab run blame --quick | head -1"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.startswith("blame: ") and done.stderr == ""
