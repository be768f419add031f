"""The file of a run's journal: named by the user or by the time, one for each process and guard. Standard library only."""

from __future__ import annotations

import time
from pathlib import Path

from steadygrad.launch.children import name_of_child

FOLDER = "runs"
"""The folder of journals by default."""


def journal_path(named: str | None, folder: Path, began: float, *, first: bool) -> Path:
    """The path of a guard's journal. ``began``: of the run, in seconds since the epoch; ``first``: of the process's guards.

    One that was named, and is there, is continued by the first guard; any other file is a new one.
    """
    default = Path(FOLDER) / time.strftime("%Y-%m-%d-%H%M.sgj", time.localtime(began))
    path = folder / (named if named is not None else default)
    child = name_of_child()
    if child:
        path = path.with_name(f"{path.stem}-{child}{path.suffix}")
    return path if named is not None and first else _free(path)


def _free(path: Path) -> Path:
    """The path, or the same with a number, that no file has."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found
