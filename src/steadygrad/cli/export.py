"""``steadygrad export``: a run's journal into a tracker or a table. Needs no torch, but for TensorBoard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

TABLES = ("csv", "parquet")


@click.command(name="export", short_help="Write a run from its journal into a tracker or a table.")
@click.argument("journal")
@click.option(
    "--to", "target", required=True, metavar="WHERE", help="tensorboard, wandb, mlflow, trackio, csv, parquet."
)
@click.option(
    "--into",
    metavar="PLACE",
    help="Folder of events (JOURNAL.tensorboard), project (steadygrad), tracking URI or experiment, or file.",
)
@click.option("--session", type=click.IntRange(min=1), metavar="N", help="Which of several sessions (the newest).")
def command(journal: str, target: str, into: str | None, session: int | None) -> None:
    """Write JOURNAL, which `steadygrad run` or sg.guard(…, journal=…) wrote, where you look at your runs.

    Each step becomes a row with the gradient norm before and after the clip, what the clip did, the learning rate, the loss
    and each parameter's gradient norm; where old steps were merged, a point of several. Each alarm becomes the tracker's
    own alert.

    Exit code: 0, or 2 where the journal cannot be read, or the tracker not written.
    """
    from steadygrad.errors import SettingsError
    from steadygrad.integrations import TRACKERS
    from steadygrad.journal import read

    if target not in (*TRACKERS, *TABLES):
        raise SettingsError(f"unknown place {target!r} to export to; known are {', '.join((*TRACKERS, *TABLES))}")
    run = read(journal, session=session, most=sys.maxsize)
    name = Path(journal).stem
    if target in TABLES:
        _table(run, target, Path(into or f"{name}.{target}"), Path(journal))
        return
    from steadygrad import integrations
    from steadygrad.listen.replay import replay
    from steadygrad.numerals import count

    tracker = getattr(integrations, target).new(into, name)
    points, alarms = replay(run, tracker)
    click.echo(f"{count(points, 'point')} and {count(alarms, 'alarm')} of {journal} are in {tracker.where}")


def _table(run: Any, kind: str, path: Path, journal: Path) -> None:
    from steadygrad.errors import OutputError
    from steadygrad.report import write_atomically, write_bytes_atomically
    from steadygrad.report.run import render

    if path.resolve() == journal.resolve():
        raise OutputError(f"cannot write {path}: it is the journal itself; name another file")
    shown = render(run, kind)
    if isinstance(shown, bytes):
        write_bytes_atomically(str(path), shown)
    else:
        write_atomically(str(path), shown)
    click.echo(f"written to {path}")
