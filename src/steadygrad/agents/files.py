"""The files of one folder: its journals, and what is named in it. Nothing outside of it, whatever a name or a link says.

Must not read what a file holds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steadygrad.errors import SettingsError

MOST_SEEN = 50_000
"""Files and folders that one search passes, at most: a folder of data must not hold up an answer."""

LONGEST_NAME = 1000
"""Characters of a path below the folder; a longer one is neither listed whole nor read."""


@dataclass(frozen=True)
class Folder:
    """The folder that is served."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> Folder:
        """The folder at this path. Raises ``SettingsError`` where there is none."""
        try:
            root = path.resolve()
            if root.is_dir():
                return cls(root)
        except (OSError, ValueError) as error:
            raise SettingsError(f"cannot read the folder {path}: {error}") from None
        raise SettingsError(f"no such folder: {path}; name the folder that holds the journals")

    def inside(self, name: str) -> Path:
        """The file of this name below the folder. Raises ``SettingsError`` where that is outside of it."""
        if len(name) > LONGEST_NAME:
            raise SettingsError(
                f"no such file: its name has {len(name):,} characters, {LONGEST_NAME:,} at most are read"
            )
        try:
            path = (self.root / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise SettingsError(f"no such file: {name} ({error})") from None
        if not path.is_relative_to(self.root):
            raise SettingsError(f"{name} is outside of the folder that is served; name a file below {self.root}")
        return path

    def shown(self, path: Path) -> str:
        """The path as the tools take it: from the folder."""
        return path.relative_to(self.root).as_posix()

    def journals(self) -> tuple[list[Path], bool]:
        """The files ``*.sgj`` below the folder, the newest first, and whether all of the folder was searched.

        Hidden folders are passed over; links that lead outside are no files of the folder.
        """
        found, seen = [], 0
        for path in _below(self.root):
            seen += 1
            if seen > MOST_SEEN:
                break
            if path.suffix != ".sgj":
                continue
            # A run that ends in this moment may take its files away.
            with contextlib.suppress(OSError):
                if path.is_file() and path.resolve().is_relative_to(self.root):
                    found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found, reverse=True)], seen <= MOST_SEEN


def _below(root: Path) -> Iterator[Path]:
    """Every file and folder below, without following links."""
    for place, folders, files in os.walk(root):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in (*folders, *files):
            yield Path(place, name)
