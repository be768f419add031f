"""``steadygrad lab``: the experiments, listed, explained and run."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadygrad.errors import UserCodeError

if TYPE_CHECKING:
    from steadygrad.lab import Experiment, Ran
    from steadygrad.lab.parameters import Value

FORMATS = ("text", "json")


@click.group(name="lab", short_help="Experiments: why gradients vanish and explode.", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the experiments, a line each. `steadygrad lab run NAME` runs one, `steadygrad lab explain NAME` explains it."""
    if ctx.invoked_subcommand is not None:
        return
    from steadygrad.lab import load
    from steadygrad.report.layout import fill, resolve_width

    longest = max(len(one.name) for one in load())
    for one in load():
        for number, line in enumerate(fill(one.summary, max(20, resolve_width(None) - longest - 2))):
            click.echo(f"{one.name if number == 0 else '':{longest}s}  {line}")


@command.command(name="explain", short_help="An experiment's claim, source, measurement and parameters.")
@click.argument("name")
@click.option("--output-format", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
def explain(name: str, output_format: str) -> None:
    """Print the page of NAME, an experiment or FILE.py:FUNCTION."""
    from steadygrad.cli.explain import show
    from steadygrad.lab import find

    show(find(name).page, output_format)


@command.command(name="run", short_help="Measure, draw, and say whether the claim held.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every experiment of `steadygrad lab`.")
@click.option("--quick", is_flag=True, help="Fewer samples: seconds instead of minutes.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of whatever is drawn.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the experiment.")
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--output-file", metavar="PATH", help="Write there instead of printing.")
@click.option("--figure", metavar="PATH", help="Draw the figures into a .png, .svg or .pdf.")
@click.option("--html", metavar="PATH", help="Write all as one page that opens from disk.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def run_command(
    ctx: click.Context,
    names: tuple[str, ...],
    everything: bool,
    quick: bool,
    seed: int,
    given: tuple[str, ...],
    output_format: str,
    output_file: str | None,
    figure: str | None,
    html: str | None,
    color: Any,
    quiet: bool,
) -> None:
    """Run experiments by NAME, or your own as FILE.py:FUNCTION: a function with @experiment() from steadygrad.lab.

    One is shown with its figures; of several each gets a line, and --html has the rest.

    Exit code: 0 every claim held; 1 one did not, or was not decided; 2 one could not be run; 130 stopped.
    """
    from steadygrad.errors import SettingsError
    from steadygrad.lab import find, load
    from steadygrad.lab.outcome import SUPPORTED
    from steadygrad.lab.parameters import pairs, values

    if everything and names:
        raise SettingsError("names and --all are both given; drop one of the two")
    if not everything and not names:
        raise SettingsError("name an experiment or give --all; steadygrad lab lists them")
    chosen = load() if everything else tuple(find(name) for name in dict.fromkeys(names))
    if (given or figure) and len(chosen) > 1:
        raise SettingsError(f"{'--set' if given else '--figure'} is for one experiment; name that one alone")
    parameters = pairs(given)
    for one in chosen:
        values(one.name, one.parameters, parameters, quick=quick)
    _check_outputs(output_file, figure, html)
    lines = output_format == "text" and output_file is None and len(chosen) > 1
    runs, code = _run_each(chosen, parameters, seed=seed, quick=quick, quiet=quiet, color=color if lines else None)
    if runs and not lines:
        _show(runs, output_format, output_file, color)
    if runs and figure is not None:
        from steadygrad.lab.render.picture import save

        save(runs[0], figure)
        click.echo(f"drawn into {figure}", err=True)
    if runs and html is not None:
        from steadygrad import __version__
        from steadygrad.lab.render.page import render
        from steadygrad.report import write_atomically

        write_atomically(html, render(runs, __version__))
        click.echo(f"written into {html}", err=True)
    ctx.exit(code or int(any(ran.outcome.verdict != SUPPORTED for ran in runs)))


def _check_outputs(output_file: str | None, figure: str | None, html: str | None) -> None:
    """Raise ``OutputError`` before minutes are spent on a file that cannot be written."""
    from steadygrad.errors import OutputError

    paths = [path for path in (output_file, figure, html) if path is not None]
    for number, path in enumerate(paths):
        if Path(path).resolve() in [Path(other).resolve() for other in paths[:number]]:
            raise OutputError(f"{path} is named twice; give each output a file of its own")
        try:
            why = _unwritable(Path(path))
        except (OSError, ValueError) as error:
            why = f"{error}; choose another file"
        if why:
            raise OutputError(f"cannot write {path}: {why}")
    if figure is not None or html is not None:
        from steadygrad.lab.render import picture

        picture.check_drawing()
        if figure is not None:
            picture.check(figure)


def _unwritable(path: Path) -> str:
    """Explain why nothing can be written there, and what to do; empty where it can be written."""
    if not path.resolve().parent.is_dir():
        return "its folder does not exist; make it first"
    if path.is_dir():
        return "it is a directory; name a file in it"
    if not os.access(path if path.exists() else path.resolve().parent, os.W_OK):
        return "permission denied; choose another file"
    return ""


def _run_each(
    chosen: tuple[Experiment, ...],
    parameters: dict[str, Value],
    *,
    seed: int,
    quick: bool,
    quiet: bool,
    color: Any | None,
) -> tuple[list[Ran], int]:
    """Print what ran; return the exit code where one of several failed or the user stopped them. ``color``: a line for each."""
    from steadygrad.cli import FAILED, INTERRUPTED
    from steadygrad.cli.failing import complain, show_user_traceback
    from steadygrad.cli.progress import progress
    from steadygrad.errors import SteadygradError
    from steadygrad.lab import run
    from steadygrad.lab.render.text import line
    from steadygrad.report.colour import Paint, wants_colour

    runs: list[Ran] = []
    code = 0
    for number, one in enumerate(chosen, 1):
        told = f"{one.name} ({number} of {len(chosen)})" if len(chosen) > 1 else one.name
        try:
            with progress(told, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
                say("measuring")
                ran = run(one, parameters, seed=seed, quick=quick)
        except SteadygradError as error:
            if len(chosen) == 1:
                raise
            if isinstance(error, UserCodeError) and error.__cause__ is not None:
                show_user_traceback(error.__cause__)
            complain(str(error))
            code = FAILED
            continue
        except KeyboardInterrupt:
            if not runs:
                raise
            complain(f"stopped after {len(runs)} of {len(chosen)}", "what ran is shown and written")
            return runs, INTERRUPTED
        runs.append(ran)
        if color is not None:
            click.echo(line(ran, Paint(wants_colour(color))), color=True)
            sys.stdout.flush()
    return runs, code


def _show(runs: list[Ran], output_format: str, output_file: str | None, color: Any) -> None:
    from steadygrad.lab.render import as_json, text
    from steadygrad.report import write_atomically

    if output_format == "json":
        shown = as_json.render(runs)
    else:
        shown = "\n\n\n".join(text.render(ran, color="never" if output_file is not None else color) for ran in runs)
    if output_file is not None:
        write_atomically(output_file, shown)
    else:
        click.echo(shown, color=True)
