"""Whatever is given to the lab: exit 2, one sentence that says what was wrong and what to do, no traceback of ours, no file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from steadygrad.cli import main

HEAD = "from steadygrad.lab import Curve, Outcome, Panel, Reading, experiment, value_reading\n\n\n"
GOOD = HEAD + "@experiment()\ndef mine(*, n: int = 3):\n    return Outcome([value_reading('n', n, least=0)])\n"


def body(text: str, decorator: str = "@experiment()", arguments: str = "") -> str:
    return HEAD + f"{decorator}\ndef mine({arguments}):\n    {text}\n"


# name: (text of my.py, arguments with {my} and {tmp}, a part of the sentence)
CASES: dict[str, tuple[str, list[str], str]] = {
    "nothing named": (GOOD, ["run"], "name an experiment or give --all; steadygrad lab lists them"),
    "named and all": (GOOD, ["run", "squash", "--all"], "drop one of the two"),
    "unknown experiment": (GOOD, ["run", "depth-prodct"], "no experiment 'depth-prodct', did you mean depth-product?"),
    "unknown to all": (GOOD, ["run", "zzz"], "no experiment 'zzz'; steadygrad lab lists them"),
    "unknown beside a known one": (GOOD, ["run", "squash", "stuk"], "did you mean stuck?"),
    "unknown to explain": (GOOD, ["explain", "squahs"], "did you mean squash?"),
    "empty name": (GOOD, ["run", ""], "no experiment ''"),
    "unknown subcommand": (GOOD, ["rnu", "squash"], "No such command 'rnu'"),
    "unknown option": (GOOD, ["run", "squash", "--quik"], "No such option"),
    "unknown parameter": (
        GOOD,
        ["run", "squash", "--set", "scal=3"],
        "squash has no parameter 'scal'; did you mean scale?",
    ),
    "parameter without a value": (GOOD, ["run", "squash", "--set", "scale"], "write it as --set name=value"),
    "parameter twice": (GOOD, ["run", "squash", "--set", "scale=3", "--set", "scale=4"], "gives scale twice"),
    "parameter no number": (
        GOOD,
        ["run", "squash", "--set", "scale=wide"],
        "scale of squash is 'wide', expected a number",
    ),
    "parameter not whole": (GOOD, ["run", "blame", "--set", "depth=2.5"], "expected a whole number"),
    "parameter out of its limits": (
        GOOD,
        ["run", "blame", "--set", "depth=0"],
        "depth of blame is 0, expected 2 to 100",
    ),
    "parameter nan": (GOOD, ["run", "squash", "--set", "scale=nan"], "expected a number"),
    "parameter of no choice": (GOOD, ["run", "squash", "--set", "activation=sigmod"], "did you mean sigmoid?"),
    "parameters that do not go together": (
        GOOD,
        ["run", "residual", "--set", "depth=10", "--set", "span=3"],
        "no multiple of the span 3",
    ),
    "parameters that leave the range": (
        GOOD,
        [
            "run",
            "depth-product",
            "--quick",
            "--set",
            "depth=400",
            "--set",
            "width=128",
            "--set",
            "nets=20",
            "--set",
            "activation=sigmoid",
            "--set",
            "gain=0.1",
        ],
        "leaves what float64 can hold",
    ),
    "parameter for several": (GOOD, ["run", "squash", "blame", "--set", "depth=3"], "--set is for one experiment"),
    "figure for several": (GOOD, ["run", "--all", "--figure", "{tmp}/a.png"], "--figure is for one experiment"),
    "negative seed": (GOOD, ["run", "squash", "--seed", "-1"], "-1 is not in the range"),
    "seed in words": (GOOD, ["run", "squash", "--seed", "lucky"], "not a valid integer"),
    "unknown format": (GOOD, ["run", "squash", "--output-format", "yaml"], "'yaml' is not one of 'text', 'json'"),
    "unknown kind of picture": (GOOD, ["run", "squash", "--figure", "{tmp}/a.jpeg"], "name it .png, .svg or .pdf"),
    "no folder for the figure": (GOOD, ["run", "squash", "--figure", "{tmp}/none/a.png"], "its folder does not exist"),
    "no folder for the page": (GOOD, ["run", "squash", "--html", "{tmp}/none/a.html"], "its folder does not exist"),
    "no folder for the text": (
        GOOD,
        ["run", "squash", "--output-file", "{tmp}/none/a.txt"],
        "its folder does not exist",
    ),
    "a folder for a page": (GOOD, ["run", "squash", "--html", "{tmp}"], "it is a directory; name a file in it"),
    "too long a name": (GOOD, ["run", "squash", "--html", "{tmp}/" + 300 * "a" + ".html"], "choose another file"),
    "one path for two": (GOOD, ["run", "squash", "--html", "{tmp}/a.svg", "--figure", "{tmp}/a.svg"], "is named twice"),
    "no such file": (GOOD, ["run", "{tmp}/nope.py:mine"], "no such file"),
    "nearly such a file": (GOOD, ["run", "{tmp}/mi.py:mine"], "did you mean"),
    "no such function": (GOOD, ["run", "{my}:mien"], "did you mean 'mine'?"),
    "not decorated": ("def mine():\n    return 3\n", ["run", "{my}:mine"], "is no experiment; put @experiment()"),
    "a number": ("mine = 3\n", ["run", "{my}:mine"], "is no experiment"),
    "file without an experiment": ("x = 1\n", ["run", "{my}"], "none there has the decorator"),
    "file with two": (
        GOOD + GOOD.replace("mine", "other").replace(HEAD, "\n\n"),
        ["run", "{my}"],
        "its experiments are mine, other",
    ),
    "syntax error": ("def f(:\n", ["run", "{my}:mine"], "is not Python"),
    "own file raises": ("1 / 0\n", ["run", "{my}:mine"], "raised this when it was imported"),
    "own function raises": (body("return {}['key']"), ["run", "{my}:mine"], "raised this when it was run"),
    "own bad default": (
        body("return None", arguments="*, n: int"),
        ["run", "{my}:mine"],
        "raised this when it was imported",
    ),
    "own bad reading": (
        body("return Outcome([Reading('x', 1, 2, 3, least=0)])"),
        ["run", "{my}:mine"],
        "raised this when it was run",
    ),
    "own outcome without a reading": (body("return Outcome([])"), ["run", "{my}:mine"], "raised this when it was run"),
    "returns nothing": (
        body("pass"),
        ["run", "{my}:mine"],
        "returned NoneType; an experiment returns steadygrad.lab.Outcome",
    ),
    "ends the program": (body("raise SystemExit(3)"), ["run", "{my}:mine"], "ends the program (exit 3)"),
    "figure of none": (GOOD, ["run", "{my}:mine", "--figure", "{tmp}/a.png"], "has no figure to draw"),
}


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_one_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, arguments, part = CASES[name]
    my = tmp_path / "my.py"
    my.write_text(text)
    before = sorted(tmp_path.rglob("*"))
    assert main(["lab", *(word.format(my=my, tmp=tmp_path) for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == "" or name == "figure of none"
    last = err.splitlines()[-1]
    assert last.startswith("steadygrad: error: ")
    assert part in last
    assert err.count("steadygrad: error:") == 1
    assert "/src/steadygrad/" not in err
    # The traceback is shown where, and only where, the user's own code raised.
    assert ("Traceback" in err) == name.startswith("own")
    assert sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in str(path)) == before


def test_the_users_traceback_is_theirs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    my = tmp_path / "my.py"
    my.write_text(CASES["own function raises"][0])
    assert main(["lab", "run", f"{my}:mine"]) == 2
    err = capsys.readouterr().err
    assert f'File "{my}", line 6, in mine' in err
    assert "KeyError: 'key'" in err


def test_one_of_several_that_raises_does_not_end_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    my = tmp_path / "my.py"
    my.write_text(CASES["own function raises"][0])
    assert main(["lab", "run", f"{my}:mine", "blame", "--quick"]) == 2
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [["blame", "supported"]]
    assert "KeyError: 'key'" in err and err.splitlines()[-1].startswith("steadygrad: error: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_may_not_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked = tmp_path / "book.html"
    locked.write_text("mine")
    locked.chmod(0o444)
    assert main(["lab", "run", "squash", "--html", str(locked)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "permission denied" in line and locked.read_text() == "mine"


@pytest.mark.parametrize("option", ["--figure", "--html"])
def test_without_matplotlib_nothing_is_run(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    my = tmp_path / "my.py"
    my.write_text(body("print('it was run')"))
    assert main(["lab", "run", f"{my}:mine", option, str(tmp_path / "a.svg")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "steadygrad: error: figures need matplotlib; pip install 'steadygrad[plot]'"


def test_parameters_are_read_before_anything_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    my = tmp_path / "my.py"
    my.write_text(body("print('it was run')", arguments="*, n: int = 3"))
    for extra in (["--set", "n=x"], ["--figure", "x.jpeg"], ["--html", str(tmp_path / "none" / "x.html")]):
        assert main(["lab", "run", f"{my}:mine", *extra]) == 2
        assert "it was run" not in capsys.readouterr().err
