"""Modules that a test's own files became: forgotten, so that a file of the same name is imported anew."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOTS = (sys.prefix, sys.base_prefix)
_installed: set[str] = set()
"""Names of the environment's modules, which are thousands: each is looked at once, not after every test."""


def forget(folder: Path) -> None:
    """Drop what was imported from the folder, and the folder from where imports look."""
    for name in sys.modules.keys() - _installed:
        file = str(getattr(sys.modules[name], "__file__", None) or sys.prefix)
        if file.startswith(str(folder)):
            del sys.modules[name]
        elif file.startswith(_ROOTS):
            _installed.add(name)
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(folder))]
