"""``steadygrad watch``: a run's journal followed while it is written. Needs no torch."""

from __future__ import annotations

from typing import Any

import click

LONGEST = 86_400
"""Seconds between two looks: a day."""


@click.command(name="watch", short_help="Follow a run while it is written.")
@click.argument("journal")
@click.option("--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between looks.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def command(journal: str, every: float, color: Any) -> None:
    """Follow JOURNAL until its run ends, or until Ctrl-C. The run goes on as before.

    A terminal shows the picture of `steadygrad show`, drawn again and again. Elsewhere each new alarm is a line, and a
    line every few seconds shows how far the run is.

    Exit code: 0, or 2 where the journal cannot be read.
    """
    import sys

    from steadygrad.errors import SettingsError
    from steadygrad.report.run.live import follow, follow_in_lines

    # A range has no word for what is no number.
    if not every <= LONGEST:
        raise SettingsError(f"--every is {every:g}, expected seconds between looks, at most {LONGEST}")
    if sys.stdout.isatty():
        follow(_reader(journal), every=every, color=color, say=lambda text: click.echo(text, color=True))
    else:
        follow_in_lines(_reader(journal), every=every, say=click.echo)


def _reader(journal: str) -> Any:
    """Read the newest session at the start, and keep to it when another begins."""
    from steadygrad.journal import read

    session = read(journal, most=1).session
    return lambda: read(journal, session=session)
