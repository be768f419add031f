"""Lines on a stream: wrapped at words where a person reads them, whole where a file or a pipe takes them.

Standard library only.
"""

from __future__ import annotations

import os
import textwrap
from typing import TextIO

NARROWEST = 40


def wrapped(text: str, stream: TextIO | None, indent: str) -> str:
    """The line as ``stream`` should get it: in a terminal at most as wide as that, what follows set in by ``indent``.

    A log that is searched line by line stays as it is, and so does a path or a command that is longer than a line.
    """
    width = _columns(stream)
    if width is None:
        return text
    return textwrap.fill(
        text, max(NARROWEST, width), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _columns(stream: TextIO | None) -> int | None:
    """Return the width of the terminal behind a stream; None where there is none."""
    try:
        if stream is None or not stream.isatty():
            return None
        given = os.environ.get("COLUMNS", "")
        return int(given) if given.isdigit() and int(given) else os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        return None
