"""``steadygrad report``: a saved report in another format. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import OF_A_REPORT, require_format


@click.command(name="report", short_help="Show a saved report again, in any format.")
@click.argument("file", shell_complete=completing.files)
@click.option(
    "--output-format",
    metavar="FORMAT",
    default="text",
    show_default=True,
    help=OF_A_REPORT,
    shell_complete=completing.formats,
)
@click.option("--output-file", metavar="PATH", help="Write there instead of printing.")
@click.option("--verbose", "-v", is_flag=True, help="Print all that was measured of a healthy model too.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def command(file: str, output_format: str, output_file: str | None, verbose: bool, color: Any) -> None:
    """Show FILE, which `steadygrad check --output-format json` wrote, in another format."""
    from steadygrad.errors import CorruptReportError
    from steadygrad.record import CheckRecord
    from steadygrad.report import FORMATS, render, write_atomically

    require_format(output_format, FORMATS)
    try:
        text = Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CorruptReportError(f"no such file: {file}") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CorruptReportError(f"{file}: {error}") from None
    shown = render(
        CheckRecord.from_json(text), output_format, color="never" if output_file is not None else color, verbose=verbose
    )
    if output_file is not None:
        write_atomically(output_file, shown)
    else:
        click.echo(shown, color=True)
