"""``steadygrad precision``: whether a model trains at another precision, and what of it must stay higher."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import output_options
from steadygrad.cli.subject import settings_for, subject_of, subject_options


@click.command(name="precision", short_help="Find what must stay higher in bf16, fp16, fp8, mxfp8 or nvfp4.")
@click.argument("target", shell_complete=completing.files)
@click.option(
    "--to",
    required=True,
    metavar="PRECISION",
    help="bf16, fp16, fp8, mxfp8 or nvfp4.",
    shell_complete=completing.precisions,
)
@subject_options
@click.option("--steps", type=click.IntRange(min=1), default=30, show_default=True, help="Steps of each training.")
@output_options("text", "json")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    to: str,
    steps: int,
    output_format: str,
    color: Any,
    quiet: bool,
    **options: Any,
) -> None:
    """Run and step copies of TARGET with the operands of each matrix product rounded bit for bit.

    Tells what the format does to each operation, and the fewest that must stay higher for the loss to fall as far. Writes
    nothing.

    Exit code: 0 it trains as it is; 1 something must stay higher, or the loss needs a scale; 2 could not check.
    """
    from steadygrad.cli.progress import progress

    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.rounding.check_precision import precision_of

        found = precision_of(subject_of(target, settings, options), to, steps=steps, progress=say)
    if output_format == "json":
        from steadygrad.report.as_json import precision_as_json

        click.echo(precision_as_json(found))
    else:
        from steadygrad.report.precision import render

        click.echo(render(found, color=color), color=True)
    ctx.exit(0 if found.as_it_is else 1)
