"""``steadygrad show``: a run's journal as a picture and a story, or as a table. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import require_format


@click.command(name="show", short_help="Show a run from its journal: loss, gradient norm, layers, alarms.")
@click.argument("journal", shell_complete=completing.files)
@click.option("--session", type=click.IntRange(min=1), metavar="N", help="Which of several sessions (the newest).")
@click.option("--series", is_flag=True, help="With json: the series of every parameter too.")
@click.option("--points", type=click.IntRange(min=1), metavar="N", help="Points of the series, at most.")
@click.option(
    "--output-format",
    metavar="FORMAT",
    default="text",
    show_default=True,
    help="text, json, html, csv, parquet.",
    shell_complete=completing.run_formats,
)
@click.option("--output-file", metavar="PATH", help="Write there instead of printing.")
@click.option("--plot", metavar="PATH", help="Draw the curves into a .png, .svg or .pdf as well.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def command(
    journal: str,
    session: int | None,
    series: bool,
    points: int | None,
    output_format: str,
    output_file: str | None,
    plot: str | None,
    color: Any,
) -> None:
    """Show JOURNAL, which `steadygrad run` or sg.guard(…, journal=…) wrote, also while a run still writes it.

    Loss, gradient norm (before and after the clip), alarms and actions stand above one another on one axis of steps.

    csv and parquet have a row for every point that is stored: the last steps one by one, older ones merged.

    Exit code: 0, or 2 where the journal cannot be read.
    """
    import sys

    from steadygrad.errors import OutputError, SettingsError
    from steadygrad.journal import read
    from steadygrad.report import write_atomically, write_bytes_atomically
    from steadygrad.report.run import FORMATS, render

    require_format(output_format, FORMATS)
    if series and output_format != "json":
        raise SettingsError(f"--series is for --output-format json; {output_format} has what it can hold without it")
    if output_format == "parquet" and output_file is None and sys.stdout.isatty():
        raise OutputError("parquet is not for a terminal; name a file with --output-file")
    if output_file is not None and not Path(output_file).resolve().parent.is_dir():
        raise OutputError(f"cannot write {output_file}: its folder does not exist; make it first")
    if output_file is not None and Path(output_file).resolve() == Path(journal).resolve():
        raise OutputError(f"cannot write {output_file}: it is the journal itself; name another file")
    tables = output_format in ("csv", "parquet")
    if plot is not None:
        from steadygrad.report.drawing import pyplot_for

        pyplot_for(plot)
    run = read(journal, session=session, most=points or (sys.maxsize if tables else 2000))
    given: dict[str, Any] = {}
    if output_format == "text":
        given = {"color": "never" if output_file is not None else color}
    elif output_format == "json":
        given = {"series": series}
    if plot is not None:
        from steadygrad.report.run.plot import draw

        draw(run, plot)
        click.echo(f"drawn into {plot}", err=True)
    shown = render(run, output_format, **given)
    if isinstance(shown, bytes):
        if output_file is not None:
            write_bytes_atomically(output_file, shown)
        else:
            click.echo(shown, nl=False)
    elif output_file is not None:
        write_atomically(output_file, shown)
    else:
        click.echo(shown, color=True)
