"""``steadygrad lr``: the learning rate that real steps on copies find."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import output_options
from steadygrad.cli.subject import settings_for, subject_of, subject_options


@click.command(name="lr", short_help="Find the learning rate by real steps on copies.")
@click.argument("target", shell_complete=completing.files)
@subject_options
@click.option("--steps", type=click.IntRange(min=1), default=30, show_default=True, help="Steps at each rate.")
@output_options("text", "json")
@click.pass_context
def command(
    ctx: click.Context, /, target: str, steps: int, output_format: str, color: Any, quiet: bool, **options: Any
) -> None:
    """Take STEPS real optimizer steps at each rate of a grid, each from the same start, on a copy of TARGET.

    The smallest rate that reaches 85 % of the greatest fall of the loss is chosen.

    Exit code: 0 a rate was found; 1 no rate makes the loss fall; 2 could not check.
    """
    from steadygrad.cli.progress import progress

    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.cures.learning_rate import rate_for

        found = rate_for(subject_of(target, settings, options), progress=say, steps=steps)
    if output_format == "json":
        from steadygrad.report.as_json import rates_as_json

        click.echo(rates_as_json(found))
    else:
        from steadygrad.report.rates import render

        click.echo(render(found, color=color), color=True)
    ctx.exit(0 if found.rate is not None else 1)
