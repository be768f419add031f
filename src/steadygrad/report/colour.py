"""The use of colours, and the look of each meaning.

Follows https://no-color.org and https://force-color.org; ``NO_COLOR`` wins over ``FORCE_COLOR``, and a stated choice
over both. May rely on the environment and a stream; must not know of records or layout.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Literal, TextIO

Color = Literal["auto", "always", "never"]

# SGR parameters by meaning; the sixteen colours of the user's own terminal theme, so that they suit light and dark.
STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "healthy": "1;32",
    "at risk": "1;33",
    "will not train": "1;31",
    "gutter": "1;34",
    "strong": "1",
    "faint": "2",
    "curve": "36",
    "clip": "35",
}


def wants_colour(choice: Color = "auto", stream: TextIO | None = None) -> bool:
    """Return whether to colour what goes to ``stream`` (default: standard output)."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    target = sys.stdout if stream is None else stream
    return os.environ.get("TERM") != "dumb" and target is not None and target.isatty()


@dataclass(frozen=True, slots=True)
class Paint:
    """``paint("text", "error")`` is the text in that style, or the text itself where colours are off."""

    on: bool

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.on and text else text
