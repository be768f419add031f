"""A notebook's file as one module: its code cells in their order, each compiled under a name that says which it is.

A cell's number is its place among the code cells that are not empty, which is the number that Jupyter shows beside it after all
cells were run from the top. Lines that are for IPython alone are left out, and ``left_out`` says which. Needs nbformat
(extra ``notebook``).
"""

from __future__ import annotations

import ast
import importlib
import linecache
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from steadygrad.errors import MissingPackageError, TargetError

ENDING = ".ipynb"

_TIMES_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Magics of a whole cell whose other lines are Python, and run as such."""

_FOR_IPYTHON = re.compile(r"\s*[%!?]|.*\?\s*$|[^#]*=\s*[%!]")
"""A magic, a line for the shell, a question, or one of these assigned: looked for only where Python sees an error."""

_FUTURE = annotations.compiler_flag

LISTED = 3

_left_out: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()


def left_out(module: ModuleType) -> str:
    """Say which lines of a notebook did not run; "" where all did, or the module is none of a notebook."""
    return _left_out.get(module, "")


def run(path: Path, name: str) -> ModuleType:
    """Run the cells in a new module of this name, which is then known as imported.

    Raises ``TargetError`` where the file is no notebook of Python, ``SyntaxError`` for a cell that is not Python, and whatever
    the cells raise, with a note on what was left out.
    """
    module = ModuleType(name)
    vars(module).update(__file__=str(path), display=_shows_nothing)
    left: list[str] = []
    sys.modules[name] = module
    try:
        for code in _compiled(path, left):
            exec(code, vars(module))  # noqa: S102 - the user's own cells.
    except BaseException as error:
        sys.modules.pop(name, None)
        if left and not isinstance(error, SyntaxError):
            error.add_note(f"steadygrad: {_in_words(path, left)}")
        raise
    if left:
        _left_out[module] = _in_words(path, left)
    return module


def _compiled(path: Path, left: list[str]) -> Iterator[CodeType]:
    flags = 0
    for number, text in enumerate(_cells(path), 1):
        cell = f"cell [{number}]"
        python, dropped = _as_python(text)
        left += [f"{line} in {cell}" for line in dropped]
        name = f"{path}:{cell}"
        linecache.cache[name] = (len(python), None, python.splitlines(keepends=True), name)
        code = compile(python, name, "exec", flags=flags, dont_inherit=True)
        # As in a notebook, an import from __future__ holds for the cells that follow.
        flags |= code.co_flags & _FUTURE
        yield code


def _cells(path: Path) -> list[str]:
    """The texts of the code cells that are not empty."""
    book = _read(path)
    language = book.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise TargetError(f"{path.name} is a notebook of {language}; name one of Python")
    return [cell.source for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]


def _read(path: Path) -> Any:
    try:
        nbformat = importlib.import_module("nbformat")
    except ImportError:
        raise MissingPackageError(
            f'{path.name} is a notebook, and nbformat is not installed; next: pip install "steadygrad[notebook]"'
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # On how the file could be newer.
            return nbformat.read(str(path), as_version=4)
    except PermissionError:
        raise
    except Exception as error:
        # Whatever the reader meets in a file of another kind.
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise TargetError(
            f"{path.name} is not a notebook that can be read ({why}); open it in Jupyter and save it"
        ) from None


def _as_python(text: str) -> tuple[str, list[str]]:
    """The cell with ``pass`` in place of each line for IPython, so that no other line moves, and those lines."""
    lines = text.split("\n")
    dropped: list[str] = []
    first = next(at for at, line in enumerate(lines) if line.strip())
    if lines[first].startswith("%%"):
        if lines[first].split()[0] not in _TIMES_PYTHON:
            return "", [lines[first].strip()]
        lines[first] = ""
    while True:
        try:
            ast.parse(python := "\n".join(lines))
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or not _FOR_IPYTHON.match(lines[at]):
                return python, dropped
            dropped.append(lines[at].strip())
            _pass_over(lines, at)
        else:
            return python, dropped


def _pass_over(lines: list[str], at: int) -> None:
    """Put ``pass`` in the place of a line, and nothing in that of the lines that a backslash joins to it."""
    line = lines[at]
    lines[at] = f"{line[: len(line) - len(line.lstrip())]}pass"
    while line.endswith("\\") and at + 1 < len(lines):
        at += 1
        line, lines[at] = lines[at], ""


def _in_words(path: Path, left: list[str]) -> str:
    more = f" and {len(left) - LISTED} more" if len(left) > LISTED else ""
    return f"left out of {path.name}: {', '.join(left[:LISTED])}{more}"


def _shows_nothing(*_: Any, **__: Any) -> None:
    """What ``display`` does where there is no notebook to show anything in."""
