"""The cells of a notebook as places: "cell [2]" for the made-up file name under which IPython compiles a cell.

The number is the one that stands beside the cell. Asks IPython only where it runs already, and never imports it.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from typing import Any


def shell() -> Any:
    """The shell of IPython that runs this process; None where there is none."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def in_notebook() -> bool:
    """Return whether what is displayed goes to a notebook, and not to a terminal."""
    return hasattr(shell(), "kernel")


def named(filename: str) -> str:
    """The name to show for a code object's file: "cell [2]" for a cell, the file itself elsewhere.

    The lines of the cell are found under that name too.
    """
    number = _numbers().get(filename)
    if number is None:
        return filename
    name = f"cell [{number}]"
    lines = linecache.cache.get(filename)
    if lines is not None:
        linecache.cache[name] = lines
    return name


def cells() -> Iterator[str]:
    """The file names of all cells that were run."""
    return iter(list(_numbers()))


def _numbers() -> dict[str, int]:
    """The number of each cell by its file name, as IPython's own tracebacks have it."""
    numbers = getattr(getattr(shell(), "compile", None), "_filename_map", None)
    return numbers if isinstance(numbers, dict) else {}
