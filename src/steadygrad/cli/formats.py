"""The formats that an ``--output-format`` takes: their list in the help, and the refusal of any other."""

from __future__ import annotations

from collections.abc import Iterable

OF_A_REPORT = "text, concise, json, github, sarif, junit, agent, html."
"""In the help of ``check`` and ``report``, which must not import the formats to print it."""


def require_format(name: str, known: Iterable[str]) -> None:
    """Raise ``SettingsError`` for a format that there is not."""
    from steadygrad.errors import SettingsError

    formats = list(known)
    if name not in formats:
        raise SettingsError(f"unknown output format {name!r}; known are {', '.join(formats)}")
