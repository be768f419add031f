"""Set-ups with code of their own: healthy architectures, and sick set-ups with the line at fault and a healthy twin.

To add one, add it to the ``CASES`` of a file in ``healthy/`` or ``sick/`` (a new file is found by itself).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bench.corpus.case import Case

PARTS = ("healthy", "sick")


@cache
def cases(part: str) -> dict[str, Case]:
    """The cases of "healthy" or "sick" by name. Raises ``ValueError`` where two have one name."""
    package = importlib.import_module(f"{__name__}.{part}")
    found: dict[str, Case] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        for case in getattr(importlib.import_module(f"{package.__name__}.{module}"), "CASES", ()):
            if case.name in found:
                raise ValueError(f"two {part} cases are called {case.name}")
            found[case.name] = case
    return found
