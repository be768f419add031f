"""A proven patch written into the files: each whole or not at all, all or none, and nothing that cannot be got back.

What would lose something is refused with its reason before the first byte is written.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from steadygrad._fix.source import Source
from steadygrad.errors import OutputError
from steadygrad.report import write_bytes_atomically


def write_files(sources: Sequence[Source], *, allow_dirty: bool = False) -> list[str]:
    """Write every file of the patch; says what was written.

    Raises ``OutputError`` where a file changed meanwhile, lies outside the project, has changes that git does not know,
    or cannot be written; then every file is as it was.
    """
    backups = [backup for source in sources if (backup := _allowed(source, allow_dirty)) is not None]
    written: list[Source] = []
    try:
        for source in sources:
            if source.path in backups:
                write_bytes_atomically(_orig(source.path), source.data)
                shutil.copymode(source.path, _orig(source.path))
            _refuse_changed(source)
            write_bytes_atomically(source.path, source.patched_bytes)
            written.append(source)
    except OutputError:
        for source in written:
            write_bytes_atomically(source.path, source.data)
        raise
    kept = [f"kept {relative(_orig(path))}" for path in backups]
    return kept + [f"wrote {relative(source.path)}" for source in written]


def relative(path: Path) -> str:
    """The path from the current folder on, where it is inside."""
    here = Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix().lstrip("/")


def _orig(path: Path) -> Path:
    return path.with_name(path.name + ".orig")


def _allowed(source: Source, allow_dirty: bool) -> Path | None:
    """The path, where a copy of the old file must be kept; None where git has it, or the user wants none."""
    path = source.path
    _refuse_changed(source)
    if _project_of(path) is None:
        raise OutputError(f"{path} lies outside this project; run steadygrad in the folder of the file")
    state = _git_state(path)
    if state is None:
        if _orig(path).exists() and not allow_dirty:
            raise OutputError(f"{relative(_orig(path))} is there already; move it away, or give --allow-dirty")
        return path if not _orig(path).exists() else None
    if state and not allow_dirty:
        raise OutputError(f"{relative(path)} {state}; commit it first, or give --allow-dirty")
    return None


def _refuse_changed(source: Source) -> None:
    try:
        now = source.path.read_bytes()
    except OSError as error:
        raise OutputError(f"{relative(source.path)} cannot be read any more: {error.strerror}") from None
    if now != source.data:
        raise OutputError(f"{relative(source.path)} was changed while the fix was made; run it again")


def _project_of(path: Path) -> Path | None:
    """The current folder, or the git work tree or pyproject folder around it, where the file is inside."""
    here = Path.cwd().resolve()
    roots = [
        here,
        *(folder for folder in here.parents if (folder / "pyproject.toml").exists() or (folder / ".git").exists()),
    ]
    return next((root for root in roots if path.is_relative_to(root)), None)


def _git_state(path: Path) -> str | None:
    """ "" where git has the file as it is, what it lacks otherwise; None where git cannot be asked about it."""
    try:
        done = subprocess.run(
            ["git", "-C", str(path.parent), "status", "--porcelain", "--ignored", "--", path.name],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return None
    if done.returncode != 0:
        return None
    known = {"??": "is not known to git", "!!": "is ignored by git"}
    return known.get(done.stdout[:2], "has changes that are not committed") if done.stdout.strip() else ""
