"""matplotlib, for whoever draws a picture: found only when one is asked for, as it comes with the extra "plot"."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from steadygrad.errors import OutputError

PICTURES = (".png", ".svg", ".pdf")


def check_kind(path: str) -> None:
    """Raise ``OutputError`` for a name that is not one of a picture."""
    if Path(path).suffix.lower() not in PICTURES:
        raise OutputError(f"cannot draw {path}: name it .png, .svg or .pdf")


def pyplot(wanted: str) -> Any:
    """matplotlib's pyplot, drawing without a screen. Raises ``OutputError``: "``wanted`` matplotlib", and the extra."""
    try:
        importlib.import_module("matplotlib").use("Agg")
        return importlib.import_module("matplotlib.pyplot")
    except ImportError:
        raise OutputError(f"{wanted} matplotlib; pip install 'steadygrad[plot]'") from None


def pyplot_for(path: str) -> Any:
    """matplotlib's pyplot, once the path is known to be one that can be drawn into. Raises ``OutputError``."""
    check_kind(path)
    if Path(path).is_dir():
        raise OutputError(f"cannot write {path}: it is a directory; name a file in it")
    if not Path(path).absolute().parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no directory {Path(path).parent}; create it first")
    return pyplot("a picture needs")
