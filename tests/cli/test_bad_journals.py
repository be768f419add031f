"""Whatever is given to show and watch: exit 2, one sentence that says what was wrong and what to do, nothing written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.journal.runs import begun, whole

GOOD, EMPTY, NOTHING = "good.sgj", "empty.sgj", "nothing.sgj"

# name: (arguments to show with {tmp}, a part of the sentence)
SHOW: dict[str, tuple[list[str], str]] = {
    "no such file": (["{tmp}/nope.sgj"], "no such file: {tmp}/nope.sgj"),
    "a folder": (["{tmp}"], "is a folder; name a journal in it"),
    "a pipe": (["{tmp}/pipe"], "is not a file; name a journal"),
    "a text": (["{tmp}/notes.txt"], "is no journal of steadygrad; name another file"),
    "one byte": (["{tmp}/byte"], "is no journal of steadygrad; name another file"),
    "a saved report": (["{tmp}/report.json"], "is no journal of steadygrad; name another file"),
    "another database": (["{tmp}/other.db"], "is an SQLite database, but no journal of steadygrad; name another file"),
    "a newer journal": (["{tmp}/newer.sgj"], "is a journal of version 99, and this steadygrad knows versions up to"),
    "a strange version": (["{tmp}/strange.sgj"], "says that it is a journal of version -3, and there is none such"),
    "an empty file": (["{tmp}/nothing.sgj"], "is empty: nothing has been written to it yet"),
    "no session in it": (["{tmp}/bare.sgj"], "is empty: nothing has been written to it yet"),
    "half a journal": (["{tmp}/half.sgj"], "is damaged or cannot be read"),
    "a journal with a hole": (["{tmp}/hole.sgj"], "is damaged"),
    "no tables": (["{tmp}/tables.sgj"], "is damaged or cannot be read (no such table: sessions)"),
    "a record that is none": (["{tmp}/record.sgj"], "is damaged (alarms has no 'step')"),
    "rows of odd width": (["{tmp}/width.sgj"], "rows of different width"),
    "a name with a null": (["{tmp}/a\0b"], "no such file"),
    "an empty name": ([""], "is a folder; name a journal in it"),
    "no such session": (["{tmp}/good.sgj", "--session", "7"], "has no session 7; it has session 1 alone"),
    "session 0": (["{tmp}/good.sgj", "--session", "0"], "0 is not in the range x>=1"),
    "session in words": (["{tmp}/good.sgj", "--session", "last"], "not a valid integer"),
    "unknown format": (
        ["{tmp}/good.sgj", "--output-format", "yaml"],
        "unknown output format 'yaml'; known are text, json",
    ),
    "series without json": (["{tmp}/good.sgj", "--series"], "--series is for --output-format json"),
    "no point": (["{tmp}/good.sgj", "--points", "0"], "0 is not in the range x>=1"),
    "a file in no folder": (
        ["{tmp}/good.sgj", "--output-file", "{tmp}/a/b"],
        "its folder does not exist; make it first",
    ),
    "a file that is a folder": (["{tmp}/good.sgj", "--output-file", "{tmp}"], "is a directory"),
    "onto itself": (["{tmp}/good.sgj", "--output-file", "{tmp}/good.sgj"], "it is the journal itself"),
    "unknown option": (["{tmp}/good.sgj", "--colour", "never"], "No such option"),
    "no journal named": ([], "Missing argument 'JOURNAL'"),
    "two journals": (["{tmp}/good.sgj", "{tmp}/good.sgj"], "unexpected extra argument"),
}
WATCH: dict[str, tuple[list[str], str]] = {
    "no such file": (["{tmp}/nope.sgj"], "no such file: {tmp}/nope.sgj"),
    "a folder": (["{tmp}"], "is a folder; name a journal in it"),
    "a text": (["{tmp}/notes.txt"], "is no journal of steadygrad"),
    "a newer journal": (["{tmp}/newer.sgj"], "is a journal of version 99"),
    "an empty file": (["{tmp}/nothing.sgj"], "is empty: nothing has been written to it yet"),
    "no pause": (["{tmp}/good.sgj", "--every", "0"], "0.0 is not in the range x>=0.1"),
    "a pause of no length": (["{tmp}/good.sgj", "--every", "nan"], "--every is nan, expected seconds between looks"),
    "a pause without end": (["{tmp}/good.sgj", "--every", "inf"], "--every is inf, expected seconds between looks"),
    "a pause in words": (["{tmp}/good.sgj", "--every", "often"], "not a valid float"),
}


def altered(path: Path, *statements: str) -> None:
    whole(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journals")
    whole(folder / "good.sgj")
    os.mkfifo(folder / "pipe")
    (folder / "notes.txt").write_text("some notes\n" * 200)
    (folder / "byte").write_text("x")
    (folder / "report.json").write_text('{"version": 1}' + " " * 100)
    (folder / "nothing.sgj").touch()
    with contextlib.closing(sqlite3.connect(folder / "other.db")) as db:
        db.execute("CREATE TABLE t (x)")
    altered(folder / "newer.sgj", "PRAGMA user_version = 99")
    altered(folder / "strange.sgj", "PRAGMA user_version = -3")
    altered(folder / "bare.sgj", "DELETE FROM sessions")
    altered(folder / "tables.sgj", "DROP TABLE sessions")
    altered(folder / "record.sgj", """UPDATE alarms SET body = '{"number": 1}'""")
    altered(folder / "width.sgj", "UPDATE points SET norms = substr(norms, 1, 8) WHERE first = 10")
    content = (folder / "good.sgj").read_bytes()
    (folder / "half.sgj").write_bytes(content[: len(content) // 2])
    middle = len(content) // 2
    (folder / "hole.sgj").write_bytes(content[:20_000] + b"\x55" * (middle - 20_000) + content[middle:])
    return folder


@pytest.mark.parametrize("name", SHOW)
def test_show_says_what_is_wrong(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused("show", *SHOW[name], folder, capsys)


@pytest.mark.parametrize("name", WATCH)
def test_watch_says_what_is_wrong(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused("watch", *WATCH[name], folder, capsys)


def refused(command: str, arguments: list[str], part: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    code = main([command, *(argument.format(tmp=folder) for argument in arguments)])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.startswith("steadygrad: error: ")
    assert captured.err.count("\n") == 1
    assert part.format(tmp=folder) in captured.err
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_a_session_that_does_not_exist_is_told_with_those_that_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = whole(tmp_path / "run.sgj")
    begun(path).close()
    assert main(["show", str(path), "--session", "3"]) == 2
    assert "has no session 3; it has sessions 1 to 2" in capsys.readouterr().err


def test_a_closed_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = whole(tmp_path / "run.sgj")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read anything
        monkeypatch.setattr(os, "access", lambda *_: False)
    assert main(["show", str(path)]) == 2
    assert "permission denied" in capsys.readouterr().err


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = whole(tmp_path / "run.sgj")
    assert main(["show", str(path), "--output-format", "parquet", "--output-file", str(tmp_path / "x")]) == 2
    assert 'pip install "steadygrad[parquet]"' in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
