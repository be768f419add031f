"""Writing a patch: whole or not at all, and nothing that cannot be got back."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steadygrad._fix import save
from steadygrad._fix.save import write_files
from steadygrad._fix.source import Source
from steadygrad.errors import OutputError

OLD, NEW = b"import torch\r\n", b"# cured\nimport torch\r\n"


def patch(*paths: Path) -> tuple[Source, ...]:
    """A patch that puts one line at the head of each file."""
    sources = []
    for path in paths:
        source = Source.read(path)
        source.splice(0, 0, "# cured\n")
        sources.append(source)
    return tuple(sources)


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file in it; no git around it."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_bytes(OLD)
    return tmp_path


@pytest.fixture
def committed(folder: Path) -> Path:
    """The same, with the file committed."""
    git(folder, "init", "-q")
    git(folder, "add", "net.py")
    git(folder, "commit", "-q", "-m", "a net")
    return folder


def refused(found: tuple[Source, ...], **options: Any) -> str:
    """The one line that says why, where nothing was written at all."""
    before = {path: path.read_bytes() for path in Path.cwd().iterdir() if path.is_file()}
    with pytest.raises(OutputError) as raised:
        write_files(found, **options)
    assert {path: path.read_bytes() for path in Path.cwd().iterdir() if path.is_file()} == before
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_committed_file_is_written_and_no_copy_is_kept(committed: Path) -> None:
    assert write_files(patch(committed / "net.py")) == ["wrote net.py"]
    assert (committed / "net.py").read_bytes() == NEW
    assert [path.name for path in committed.iterdir() if path.is_file()] == ["net.py"]


@pytest.mark.parametrize("mode", [0o755, 0o640, 0o600])
def test_mode_bits_stay(mode: int, folder: Path) -> None:
    (folder / "net.py").chmod(mode)
    write_files(patch(folder / "net.py"))
    for name in ("net.py", "net.py.orig"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == mode


def test_without_git_the_old_file_is_kept_beside_it(folder: Path) -> None:
    assert write_files(patch(folder / "net.py")) == ["kept net.py.orig", "wrote net.py"]
    assert (folder / "net.py.orig").read_bytes() == OLD
    assert (folder / "net.py").read_bytes() == NEW


def test_a_copy_that_was_kept_is_never_written_over(folder: Path) -> None:
    (folder / "net.py.orig").write_bytes(b"older")
    found = patch(folder / "net.py")
    assert refused(found) == "net.py.orig is there already; move it away, or give --allow-dirty"
    assert write_files(found, allow_dirty=True) == ["wrote net.py"]
    assert (folder / "net.py.orig").read_bytes() == b"older"


def test_a_link_stays_a_link_and_its_target_is_written(committed: Path) -> None:
    (committed / "link.py").symlink_to("net.py")
    assert write_files(patch(committed / "link.py")) == ["wrote net.py"]
    assert (committed / "link.py").is_symlink()
    assert (committed / "net.py").read_bytes() == NEW


def test_a_link_that_leads_out_of_the_project_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("elsewhere") / "net.py"
    outside.write_bytes(OLD)
    (folder / "link.py").symlink_to(outside)
    assert "lies outside this project" in refused(patch(folder / "link.py"))
    assert outside.read_bytes() == OLD


def test_a_file_changed_meanwhile_is_refused(folder: Path) -> None:
    found = patch(folder / "net.py")
    (folder / "net.py").write_bytes(b"import torch  # mine\r\n")
    assert refused(found, allow_dirty=True) == "net.py was changed while the fix was made; run it again"


def test_a_file_that_is_gone_is_refused(folder: Path) -> None:
    found = patch(folder / "net.py")
    (folder / "net.py").unlink()
    assert "cannot be read any more" in refused(found)


def change(folder: Path) -> None:
    (folder / "net.py").write_bytes(OLD)
    git(folder, "rm", "-q", "--cached", "net.py")
    git(folder, "commit", "-q", "-m", "none")


def edited(folder: Path) -> None:
    (folder / "net.py").write_bytes(b"import  torch\r\n")


def staged(folder: Path) -> None:
    edited(folder)
    git(folder, "add", "net.py")


def ignored(folder: Path) -> None:
    change(folder)
    (folder / ".gitignore").write_text("net.py\n")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (edited, "has changes that are not committed"),
        (staged, "has changes that are not committed"),
        (change, "is not known to git"),
        (ignored, "is ignored by git"),
    ],
)
def test_what_git_could_not_bring_back_is_refused(make: Callable[[Path], None], why: str, committed: Path) -> None:
    make(committed)
    found = patch(committed / "net.py")
    assert refused(found) == f"net.py {why}; commit it first, or give --allow-dirty"
    write_files(found, allow_dirty=True)
    assert (committed / "net.py").read_bytes().startswith(b"# cured\n")


def test_where_git_cannot_be_asked_a_copy_is_kept(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert write_files(patch(committed / "net.py"))[0] == "kept net.py.orig"


def test_a_folder_that_cannot_be_written_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # The tests may run as root, whom no mode bits stop.
    monkeypatch.setattr(tempfile, "mkstemp", denied)
    assert "permission denied" in refused(patch(folder / "net.py"))


def test_of_two_files_both_are_written_or_none(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (committed / "blocks.py").write_bytes(OLD)
    git(committed, "add", "blocks.py")
    git(committed, "commit", "-q", "-m", "blocks")
    write = save.write_bytes_atomically

    def full(path: Path, data: bytes) -> None:
        if path.name == "blocks.py":
            raise OutputError("cannot write blocks.py: no space left on device")
        write(path, data)

    found = patch(committed / "net.py", committed / "blocks.py")
    with monkeypatch.context() as no_space:
        no_space.setattr(save, "write_bytes_atomically", full)
        assert "no space left" in refused(found)
    assert write_files(found) == ["wrote net.py", "wrote blocks.py"]


@pytest.mark.parametrize(("name", "expected"), [("fsync", OLD), ("chmod", OLD), ("replace", NEW)])
def test_a_kill_leaves_the_old_file_or_the_new(name: str, expected: bytes, committed: Path) -> None:
    """The writer is killed where it stands: while it syncs, before the new file takes the place, and just after."""
    found = patch(committed / "net.py")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _stop_at(name, write)
        write_files(found)
        os._exit(1)
    os.close(write)
    assert os.read(read, 1) == b"!"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    assert (committed / "net.py").read_bytes() == expected
    if expected == OLD:
        assert write_files(patch(committed / "net.py")) == ["wrote net.py"]
        assert (committed / "net.py").read_bytes() == NEW


def _stop_at(name: str, pipe: int) -> None:
    owner: Any = os if name == "fsync" else Path
    original = getattr(owner, name)

    def stopping(*args: Any, **kwargs: Any) -> None:
        if name == "replace":
            original(*args, **kwargs)
        os.write(pipe, b"!")
        time.sleep(60)

    setattr(owner, name, stopping)
