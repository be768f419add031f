"""The cures: found in this folder, proposed from a report, applied to a copy.

A cure is one file with ``GROUP``, ``SAFETY``, ``FINDINGS`` (the codes it can help with), ``propose(patient, report)``
giving candidates, and ``apply_(patient, edit)`` changing the patient in place and saying what it did. Its docstring is its
page, under ``HEADINGS``. Adding a cure is adding a file.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from types import ModuleType

from steadygrad.errors import UnknownCureError
from steadygrad.record import GROUPS

HEADINGS = ("What it does", "Mathematics", "What it changes", "When it is wrong", "References")
"""Every cure's docstring has these sections, in this order."""


@dataclass(frozen=True)
class Cure:
    """One cure, as its file states it."""

    name: str
    """The file's, with hyphens: "swap-activation"."""
    group: str
    safety: str
    findings: tuple[str, ...]
    summary: str
    doc: str
    at_first: int | None
    """How many of its candidates are tried where nobody asks for it by name; None = all."""
    module: ModuleType
    """Its ``propose`` and ``apply_``."""


@functools.cache
def load() -> tuple[Cure, ...]:
    """All cures in this folder, least intrusive first."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = [_cure(module) for module in modules if hasattr(module, "apply_")]
    return tuple(
        sorted(found, key=lambda cure: (GROUPS.index(cure.group), cure.module.__dict__.get("ORDER", 0), cure.name))
    )


def _cure(module: ModuleType) -> Cure:
    summary, _, doc = inspect.cleandoc(module.__doc__ or "").partition("\n")
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    return Cure(
        name,
        module.GROUP,
        module.SAFETY,
        module.FINDINGS,
        summary.strip(),
        doc.strip(),
        vars(module).get("AT_FIRST"),
        module,
    )


def find(name: str) -> Cure:
    """The cure with this name. Raises ``UnknownCureError`` naming the nearest."""
    for cure in load():
        if cure.name == name.strip().lower().replace("_", "-"):
            return cure
    close = difflib.get_close_matches(name.lower(), [cure.name for cure in load()], n=1, cutoff=0.4)
    hint = f", did you mean {close[0]}?" if close else ""
    raise UnknownCureError(f"no cure {name!r}{hint}; steadygrad cures lists them")
