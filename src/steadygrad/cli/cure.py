"""``steadygrad cure``: tries the cures on copies, prints what each did and what it would take; writes nothing."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import output_options
from steadygrad.cli.subject import settings_for, subject_of, subject_options


def plan_options(command: Any) -> Any:
    """The options of the planner, shared with ``fix`` and ``prove``."""
    for option in reversed(
        (
            click.option(
                "--keep", multiple=True, metavar="WHAT", help="activation, architecture, optimizer, numbers or set-up."
            ),
            click.option(
                "--allow",
                multiple=True,
                metavar="GROUP",
                help="Groups of cures that may be used (all).",
                shell_complete=completing.groups,
            ),
            click.option(
                "--only",
                "--cure",
                "only",
                multiple=True,
                metavar="NAME",
                help="Try these cures alone.",
                shell_complete=completing.cures,
            ),
            click.option("--best", is_flag=True, help="Try all; take the fastest learner of those that heal."),
            click.option("--budget", metavar="TIME", help="Try nothing further after 60s or 5m."),
        )
    ):
        command = option(command)
    return command


@click.command(name="cure", short_help="Find the least intrusive change that makes a model healthy.")
@click.argument("target", shell_complete=completing.files)
@subject_options
@plan_options
@output_options("text", "json", "html")
@click.pass_context
def command(ctx: click.Context, /, target: str, output_format: str, color: Any, quiet: bool, **options: Any) -> None:
    """Try cures on copies of TARGET, least intrusive first, and print what each did to the verdict. Writes nothing.

    TARGET and its options are those of `steadygrad check`. `steadygrad fix` writes the change into the source.

    Exit code: 0 healthy, or cured; 1 not cured; 2 could not check.
    """
    from steadygrad.cli.progress import progress
    from steadygrad.record import CureRecord, Verdict

    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    given = planner_options(options, settings)
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.cures.plan import cure_subject

        cured: CureRecord = cure_subject(subject_of(target, settings, options), given, say)
    if output_format == "json":
        from steadygrad.report.as_json import cure_as_json

        click.echo(cure_as_json(cured))
    elif output_format == "html":
        from steadygrad.report import cured_page

        click.echo(cured_page.render(cured))
    else:
        from steadygrad.report.cured import render

        click.echo(render(cured, color=color), color=True)
    ctx.exit(0 if cured.after.verdict is Verdict.HEALTHY else 1)


def planner_options(options: dict[str, Any], settings: Any, *, compare: bool = True) -> Any:
    """``Options`` of the planner from those of the command line, checked before anything of the user's is run."""
    from steadygrad.cures.candidates import check_options
    from steadygrad.cures.evaluate import Options
    from steadygrad.written import names, seconds

    given = Options(
        keep=names(options["keep"], "--keep"),
        allow=names(options["allow"], "--allow"),
        only=names(options["only"], "--only"),
        best=options["best"],
        compare=compare,
        budget=seconds(options["budget"], "--budget"),
        trial=settings.trial or None,
    )
    check_options(given)
    return given
