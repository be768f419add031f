"""Modules that a test's own files became: forgotten, so that a file of the same name is imported anew."""

from __future__ import annotations

import sys
from pathlib import Path


def forget(folder: Path) -> None:
    """Drop what was imported from the folder, and the folder from where imports look."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(folder))]
