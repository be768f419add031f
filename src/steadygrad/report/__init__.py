"""Formats: functions from a record to text.

A format is one file here with a ``NAME`` and ``render(record, *, width, color, verbose) -> str``; adding one is adding a file.
May rely on the records and on rich; must not import torch, measure or judge; of rules it knows their pages alone.
"""

from __future__ import annotations

import steadygrad.report.quiet_rich  # noqa: F401  # isort: skip

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from steadygrad.record import CheckRecord
from steadygrad.report.colour import Color, wants_colour
from steadygrad.report.write import write_atomically, write_bytes_atomically

__all__ = ["FORMATS", "Color", "Format", "render", "wants_colour", "write_atomically", "write_bytes_atomically"]


class Format(Protocol):
    """The interface of a format, ``render``: ``width`` in cells (None = the terminal's), ``color`` as in ``colour.py``.

    ``verbose`` asks for all that is known of a healthy model; ``fail_on`` is the level that fails the check. A format
    takes all of them, and ignores what it has no use for.
    """

    def __call__(
        self,
        record: CheckRecord,
        *,
        width: int | None = None,
        color: Color = ...,
        verbose: bool = ...,
        fail_on: str = ...,
    ) -> str: ...


def _find() -> Mapping[str, Format]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found = {module.NAME: module.render for module in modules if hasattr(module, "NAME")}
    return MappingProxyType(dict(sorted(found.items())))


FORMATS: Mapping[str, Format] = _find()
"""Every format by its name: agent, concise, github, html, json, junit, sarif, text."""


def render(
    record: CheckRecord,
    format_name: str = "text",
    *,
    width: int | None = None,
    color: Color = "auto",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The record in a format of ``FORMATS``, without a newline at its end."""
    return FORMATS[format_name](record, width=width, color=color, verbose=verbose, fail_on=fail_on)
