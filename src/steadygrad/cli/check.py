"""``steadygrad check``: a target and options in, a report and an exit code out."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.delivering import Delivery
from steadygrad.cli.formats import OF_A_REPORT
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

    TARGET is file.py, file.py:name, notebook.ipynb:name or package.module:name: a torch.nn.Module, its class, or a function
    that returns one or (model, batch, loss_fn, optimizer); or a library's model, timm:resnet18 or hf:gpt2. The check uses
    the optimizer, loss and loader of a script or notebook, of a Lightning module or of a transformers Trainer. steadygrad
    makes the parts that are missing, and the report says so. For a script that makes its model when it runs, use
    steadygrad run --only-check train.py.

    Exit code: 0 nothing found, 1 findings at the fail level, 2 could not check.
    """
    from steadygrad import rules
    from steadygrad.cli.progress import progress
    from steadygrad.errors import SubjectError

    names = ("device", "dtype", "seed", "trial", "select", "ignore", "fail_on", "output_format", "baseline")
    given = {name: options[name] for name in names}
    if options["exit_zero"]:
        given["fail_on"] = "never"
    settings = settings_for(target, given)
    rules.resolve(settings.selectors)
    deliver = Delivery(settings, output_file, quiet, verbose, color, options["update_baseline"])
    deliver.require()
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
    ctx.exit(deliver(report))
