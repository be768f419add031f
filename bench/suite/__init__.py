"""The suite: healthy architectures and sick set-ups as data, each with what training did to it (``outcomes.jsonl``).

To add a case, add it to the ``CASES`` of a file in ``healthy/`` or ``sick/`` (a new file is found by itself) and run
``python -m bench.train_suite NAME``, which trains it and writes its outcome down.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from functools import cache

from bench.suite.case import Case

PARTS = ("healthy", "sick")

Job = tuple[str, str, str]
"""Part of the suite, name of the case, and which of its set-ups: "itself" or "twin"."""


@cache
def cases(part: str) -> dict[str, Case]:
    """The cases of "healthy" or "sick" by name. Raises ``ValueError`` where two have one name."""
    package = importlib.import_module(f"bench.suite.{part}")
    found: dict[str, Case] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        for case in getattr(importlib.import_module(f"{package.__name__}.{module}"), "CASES", ()):
            if case.name in found:
                raise ValueError(f"two {part} cases are called {case.name}")
            found[case.name] = case
    return found


def jobs(names: Collection[str] = ()) -> list[Job]:
    """Every set-up, the twins of sick ones among them: of the named cases, or of all."""
    return [
        (part, name, which)
        for part in PARTS
        for name, case in cases(part).items()
        for which in ("itself", "twin")
        if (not names or name in names) and (which == "itself" or case.twin is not None)
    ]
