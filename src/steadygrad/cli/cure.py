"""``steadygrad cure``: tries the cures on copies, prints what each did and what it would take; writes nothing."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from steadygrad.cli.subject import settings_for, subject_of, subject_options


def plan_options(command: Any) -> Any:
    """The options of the planner, shared with ``fix`` and ``prove``."""
    for option in reversed(
        (
            click.option(
                "--keep", multiple=True, metavar="WHAT", help="activation, architecture, optimizer, numbers or set-up."
            ),
            click.option("--allow", multiple=True, metavar="GROUP", help="Groups of cures that may be used (all)."),
            click.option("--only", "--cure", "only", multiple=True, metavar="NAME", help="Try these cures alone."),
            click.option("--best", is_flag=True, help="Try all; take the fastest learner of those that heal."),
            click.option("--budget", metavar="TIME", help="Try nothing further after 60s or 5m."),
        )
    ):
        command = option(command)
    return command


@click.command(name="cure", short_help="Find the least intrusive change that makes a model healthy.")
@click.argument("target")
@subject_options
@plan_options
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
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
    else:
        from steadygrad.report.cured import render

        click.echo(render(cured, color=color), color=True)
    ctx.exit(0 if cured.after.verdict is Verdict.HEALTHY else 1)


def planner_options(options: dict[str, Any], settings: Any, *, compare: bool = True) -> Any:
    """``Options`` of the planner from those of the command line, checked before anything of the user's is run."""
    from steadygrad.cures.candidates import check_options
    from steadygrad.cures.trying import Options

    given = Options(
        keep=_words("--keep", options["keep"]),
        allow=_words("--allow", options["allow"]),
        only=_words("--only", options["only"]),
        best=options["best"],
        compare=compare,
        budget=seconds(options["budget"]),
        trial=settings.trial or None,
    )
    check_options(given)
    return given


def _words(option: str, values: tuple[str, ...]) -> tuple[str, ...]:
    from steadygrad.errors import SettingsError

    words = tuple(word.strip() for value in values for word in value.split(",") if word.strip())
    if values and not words:
        raise SettingsError(f"{option} names nothing; leave it out, or name something")
    return words


def seconds(text: str | None) -> float | None:
    """ "60s", "5m", "1h" or a plain number of seconds. Raises ``SettingsError``."""
    from steadygrad.errors import SettingsError

    if text is None:
        return None
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:].lower())
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise SettingsError(f"cannot read --budget {text!r}; write it as 60s or 5m") from None
