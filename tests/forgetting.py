"""Modules that a test's own files became: forgotten, so that a file of the same name is imported anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_ROOTS = (sys.prefix, sys.base_prefix)
_installed: dict[str, Any] = {}
"""Modules of the environment, which are thousands: each is looked at once, not after every test."""


def forget(folder: Path) -> None:
    """Drop what was imported from the folder, and the folder from where imports look."""
    for name, module in list(sys.modules.items()):
        if _installed.get(name) is module:
            continue
        file = str(getattr(module, "__file__", None) or sys.prefix)
        if file.startswith(str(folder)):
            del sys.modules[name]
        elif file.startswith(_ROOTS):
            _installed[name] = module
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(folder))]
