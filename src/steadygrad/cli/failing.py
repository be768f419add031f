"""The way a command that cannot do its work fails: one sentence on standard error, and the user's own traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

import click

from steadygrad.report.words import clean

_OURS = str(Path(__file__).parent.parent) + "/"


def complain(*parts: str) -> None:
    """One line on standard error. What was quoted from files and names moves no cursor."""
    click.echo(f"steadygrad: error: {clean('; '.join(' '.join(part.split()) for part in parts))}", err=True)


def show_user_traceback(error: BaseException) -> None:
    """The traceback of an exception of the user's, without frames of ours or of the import system."""
    told = traceback.TracebackException.from_exception(error)
    one: traceback.TracebackException | None = told
    while one is not None:
        theirs = [frame for frame in one.stack if not frame.filename.startswith((_OURS, "<frozen importlib"))]
        one.stack = traceback.StackSummary.from_list(theirs)
        one = one.__cause__ or one.__context__
    lines = "".join(told.format()).splitlines()
    click.echo("\n".join(map(clean, lines)), err=True)
