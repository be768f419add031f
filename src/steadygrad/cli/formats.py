"""How a command prints what it found: the options for it, the list of formats in the help, and the refusal of any other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

OF_A_REPORT = "text, concise, json, github, sarif, junit, agent, html."
"""In the help of ``check`` and ``report``, which must not import the formats to print it."""


def output_options(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--output-format`` with these choices, the first by default, ``--color`` and ``--quiet`` to a command."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--quiet", "-q", is_flag=True, help="No progress."),
            click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True),
            click.option("--output-format", type=click.Choice(formats), default=formats[0], show_default=True),
        ):
            command = option(command)
        return command

    return add


def require_format(name: str, known: Iterable[str]) -> None:
    """Raise ``SettingsError`` for a format that there is not."""
    from steadygrad.errors import SettingsError

    formats = list(known)
    if name not in formats:
        raise SettingsError(f"unknown output format {name!r}; known are {', '.join(formats)}")
