"""The program to run: a script, a folder or archive with a ``__main__``, a module, or a console entry found on PATH.

May rely on the standard library; must not run or import anything of the user's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steadygrad.errors import ProgramError

SCRIPT, BUNDLE, MODULE = "script", "bundle", "module"


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the user's, and its arguments."""

    kind: str
    """SCRIPT: a file of Python; BUNDLE: a folder or zip file with a ``__main__``; MODULE: what follows ``-m``."""
    name: str
    """The path as ``sys.argv[0]`` has it, or the module's name."""
    arguments: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder where its settings are looked for first."""
        return Path.cwd() if self.kind == MODULE else Path(self.name).absolute().parent

    @property
    def words(self) -> str:
        """The program's name as a person types it."""
        return " ".join((f"-m {self.name}" if self.kind == MODULE else self.name, *self.arguments))


def find_program(words: Sequence[str]) -> Program:
    """Find the program of ``script.py …``, ``-m module …`` or a console script's name. Raises ``ProgramError``."""
    if not words:
        raise ProgramError("nothing to run; write it as steadygrad run train.py or steadygrad run -m package.train")
    name, *rest = words
    if name == "-m" or (name.startswith("-m") and not name.startswith("--")):
        module, arguments = (name[2:], rest) if name != "-m" else (rest[0] if rest else "", rest[1:])
        if not module:
            raise ProgramError("-m names no module; write it as steadygrad run -m package.train")
        return Program(MODULE, module, tuple(arguments))
    return Program(*_kind(name), tuple(rest))


def _kind(name: str) -> tuple[str, str]:
    path = Path(name)
    if path.is_dir():
        if not (path / "__main__.py").is_file():
            raise ProgramError(
                f"cannot run the folder {name}: it has no __main__.py; name a file, or -m package.module"
            )
        return BUNDLE, name
    if path.suffix == ".ipynb":
        raise ProgramError(f"{name} is a notebook; guard its loop with sg.guard(model, optimizer), or name a script")
    if path.exists():
        return (BUNDLE if _is_archive(path) else SCRIPT), name
    found = shutil.which(name) if os.sep not in name else None
    if found is None:
        place = "" if path.is_absolute() else f" in {Path.cwd()}"
        entry = "" if os.sep in name or path.suffix else ", and no command of this name on PATH"
        raise ProgramError(f"no file {name!r}{place}{entry}; name a script, or -m package.module")
    if not _is_python(Path(found)):
        raise ProgramError(f"{found} is not a script of Python; name the script or module that trains")
    return SCRIPT, found


def _is_archive(path: Path) -> bool:
    import zipfile

    return zipfile.is_zipfile(path)


def _is_python(path: Path) -> bool:
    """Return whether its first line names Python: itself, or through the shell, as installers write where paths are long."""
    try:
        with path.open("rb") as file:
            first, second = file.readline(400), file.readline(400)
    except OSError:
        return False
    return first.startswith(b"#!") and (b"python" in first or (b"/sh" in first and second.startswith(b"'''exec'")))
