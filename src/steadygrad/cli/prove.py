"""``steadygrad prove``: finds a cure, then trains before and after side by side."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.cure import plan_options, planner_options
from steadygrad.cli.formats import output_options
from steadygrad.cli.subject import asked, settings_for, subject_of, subject_options


@click.command(name="prove", short_help="Train before and after the cure, side by side.")
@click.argument("target", shell_complete=completing.files)
@subject_options
@plan_options
@click.option("--batches", metavar="FILE.py:FUNCTION", help="Function that returns batches (a list or a DataLoader).")
@click.option("--steps", type=click.IntRange(min=1), default=200, show_default=True, help="Steps of each training.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings of each.")
@click.option("--plot", metavar="PATH", help="Draw the curves into a .png, .svg or .pdf.")
@output_options("text", "json", "html")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    batches: str | None,
    steps: int,
    seeds: int,
    plot: str | None,
    output_format: str,
    color: Any,
    quiet: bool,
    **options: Any,
) -> None:
    """Cure TARGET on a copy, then train both, with the same data in the same order and the same seeds. Writes nothing.

    Without --batches both train on the one batch, and the report says so. Every seed builds TARGET again.

    Exit code: 0 the cured model ends below the other; 1 it does not, or nothing was taken; 2 could not check.
    """
    from steadygrad.cli.progress import progress
    from steadygrad.report.drawing import pyplot_for
    from steadygrad.report.proof import draw, render

    if plot is not None:
        pyplot_for(plot)
    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    given = planner_options(options, settings, compare=False)
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.cures.plan import cure_subject
        from steadygrad.proof import prove_subject, stream_for
        from steadygrad.subject.from_options import batches_of

        def subject(seed: int) -> Any:
            return subject_of(target, replace(settings, seed=seed), options)

        first = subject(settings.seed)
        stream = stream_for(first, batches_of(batches, asked(settings, options)) if batches else None, steps)
        cured = cure_subject(first, given, say)
        proof = prove_subject(subject, cured, steps=steps, seeds=seeds, batches=stream, progress=say)
    if plot is not None:
        draw(proof, plot)
        click.echo(f"drawn into {plot}", err=True)
    if output_format == "json":
        from steadygrad.report.as_json import proof_as_json

        click.echo(proof_as_json(proof))
    elif output_format == "html":
        from steadygrad.report import proof_page

        click.echo(proof_page.render(proof))
    else:
        click.echo(render(proof, color=color), color=True)
    ctx.exit(0 if proof.proven else 1)
