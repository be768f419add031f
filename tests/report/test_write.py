"""An output file is written whole or not at all, and an unwritable path is told in one sentence."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from steadygrad.errors import OutputError
from steadygrad.report import write_atomically


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    for text in ("eins → 1", "zwei\n"):
        write_atomically(target, text)
        assert target.read_text(encoding="utf-8") == text.rstrip("\n") + "\n"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_it_keeps_the_mode_of_a_file_and_follows_the_umask_for_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("x")
    old.chmod(0o640)
    write_atomically(old, "y")
    mask = os.umask(0o027)
    try:
        write_atomically(new, "y")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real", tmp_path / "link"
    target.write_text("x")
    link.symlink_to(target)
    write_atomically(link, "y")
    assert link.is_symlink()
    assert target.read_text() == "y\n"


def test_a_device_is_written_as_it_is() -> None:
    write_atomically(os.devnull, "x")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, where: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    target = tmp_path / "report.txt"
    target.write_text("old")
    if where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        write_atomically(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.txt"]
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {target}: no space left on device"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/report.txt", "there is no directory"),
        (".", "it is a directory; name a file in it"),
        ("file/report.txt", "is not a directory"),
        ("n" * 300, "file name too long"),
        ("nul\0", "null"),
    ],
)
def test_an_unwritable_path_is_told_in_one_sentence(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_atomically(tmp_path / name, "text")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="modes are as POSIX has them")
def test_no_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):  # root may write anywhere: the refusal is then the system call's, made by hand
        monkeypatch.setattr(tempfile, "mkstemp", _refuse)
    with pytest.raises(OutputError, match="permission denied; choose another file"):
        write_atomically(locked / "report.txt", "text")
    locked.chmod(0o700)
    assert os.listdir(locked) == []


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")
