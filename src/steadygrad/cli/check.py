"""``steadygrad check``: a target and options in, a report and an exit code out."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import OF_A_REPORT, require_format
from steadygrad.cli.subject import settings_for, subject_of, subject_options


@click.command(name="check", short_help="Find where and why gradients vanish or explode.")
@click.argument("target", shell_complete=completing.files)
@subject_options
@click.option(
    "--trial", type=int, help="Optimizer steps on a copy (10, or 100 where 10 leave it open); 0 = the probe alone."
)
@click.option(
    "--select", metavar="CODES", help="Rules to run: codes, prefixes or names.", shell_complete=completing.rules
)
@click.option("--ignore", metavar="CODES", help="Rules to leave out.", shell_complete=completing.rules)
@click.option(
    "--baseline",
    metavar="FILE",
    help="Known findings: only new ones are printed and fail.",
    shell_complete=completing.files,
)
@click.option("--update-baseline", is_flag=True, help="Write what is found into the baseline, and fail for none of it.")
@click.option(
    "--fail-on", metavar="LEVEL", help="error (default), warning or never.", shell_complete=completing.fail_on
)
@click.option("--exit-zero", is_flag=True, help="The same as --fail-on never.")
@click.option(
    "--output-format",
    metavar="FORMAT",
    help=OF_A_REPORT,
    shell_complete=completing.formats,
)
@click.option(
    "--output-file",
    metavar="PATH",
    help="Write the report there instead of printing it.",
    shell_complete=completing.files,
)
@click.option("--quiet", "-q", is_flag=True, help="Print findings only, and nothing where there are none.")
@click.option("--verbose", "-v", is_flag=True, help="Print all that was measured of a healthy model too.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.pass_context
def command(
    ctx: click.Context, /, target: str, color: Any, quiet: bool, verbose: bool, output_file: str | None, **options: Any
) -> None:
    """Find where and why gradients vanish or explode in TARGET, before training.

    TARGET is file.py, file.py:name or package.module:name: a torch.nn.Module, its class, or a function that returns one
    or (model, batch, loss_fn, optimizer). A script's own optimizer, loss and loader are used. steadygrad makes the
    parts that are missing, and the report says so.

    Exit code: 0 nothing found, 1 findings at the fail level, 2 could not check.
    """
    from steadygrad import rules
    from steadygrad.cli.progress import progress
    from steadygrad.errors import SettingsError, SubjectError
    from steadygrad.record import CheckRecord
    from steadygrad.report import FORMATS, render, write_atomically
    from steadygrad.report.baseline import read_baseline, update_baseline, without_known
    from steadygrad.report.concise import findings

    names = ("device", "dtype", "seed", "trial", "select", "ignore", "fail_on", "output_format", "baseline")
    given = {name: options[name] for name in names}
    if options["exit_zero"]:
        given["fail_on"] = "never"
    settings = settings_for(target, given)
    rules.resolve(settings.selectors)
    known_at = Path(settings.baseline) if settings.baseline else None
    if known_at is None and options["update_baseline"]:
        raise SettingsError(
            "--update-baseline needs a file: give --baseline FILE, or set baseline in [tool.steadygrad]"
        )
    known = read_baseline(known_at) if known_at is not None and not options["update_baseline"] else ()
    require_format(settings.output_format, FORMATS)
    if output_file is not None and not Path(output_file).resolve().parent.is_dir():
        raise SettingsError(f"cannot write {output_file}: its folder does not exist; make it first")
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        import torch

        from steadygrad._check import check_subject

        subject = subject_of(target, settings, options)
        try:
            report = check_subject(subject, trial=settings.trial, settings=settings, progress=say)
        except torch.OutOfMemoryError:
            raise SubjectError(
                "the device's memory is not enough; try a smaller batch (--input) or --trial 0"
            ) from None
    shown: CheckRecord = report
    if known_at is not None:
        if options["update_baseline"]:
            known, changed = update_baseline(known_at, report)
            click.echo(changed, err=True)
        shown = without_known(report, known, known_at)
    failed = settings.fail_on != "never" and bool(shown.at_least(settings.fail_on))
    if not (quiet and not shown.findings):
        if quiet and settings.output_format in ("text", "concise"):
            text = "\n".join(findings(shown))
        else:
            text = render(
                shown,
                settings.output_format,
                color="never" if output_file is not None else color,
                verbose=verbose,
                fail_on=settings.fail_on,
            )
        if output_file is not None:
            write_atomically(output_file, text)
        elif text:
            click.echo(text, color=True)
    ctx.exit(1 if failed else 0)
