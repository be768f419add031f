"""``steadygrad check``: a target and options in, a report and an exit code out."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click


@click.command(name="check", short_help="Find where and why gradients vanish or explode.")
@click.argument("target")
@click.option("--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="Argument of the class or function.")
@click.option("--input", "inputs", multiple=True, metavar="SHAPE", help="64,3,32,32 or 8,128:long or 8,128:0-50257.")
@click.option("--batch", metavar="FILE.py:FUNCTION", help="Function that returns the batch (x, y).")
@click.option("--loss", metavar="NAME", help="cross_entropy, MSELoss, or FILE.py:FUNCTION.")
@click.option("--optimizer", metavar="SPEC", help="adamw:3e-4 or sgd:0.1,momentum=0.9.")
@click.option("--device", metavar="DEVICE", help="cpu, cuda, mps.")
@click.option("--dtype", metavar="DTYPE", help="float32, bfloat16, float64.")
@click.option("--seed", type=int, help="Seed of whatever is drawn (0).")
@click.option("--trial", type=int, help="Optimizer steps on a copy (10); 0 = the probe alone.")
@click.option("--select", metavar="CODES", help="Rules to run: codes, prefixes or names.")
@click.option("--ignore", metavar="CODES", help="Rules to leave out.")
@click.option("--fail-on", metavar="LEVEL", help="error (default), warning or never.")
@click.option("--exit-zero", is_flag=True, help="The same as --fail-on never.")
@click.option("--output-format", metavar="FORMAT", help="text, concise, json, github, html.")
@click.option("--output-file", metavar="PATH", help="Write the report there instead of printing it.")
@click.option("--quiet", "-q", is_flag=True, help="Print findings only, and nothing where there are none.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.pass_context
def command(
    ctx: click.Context, /, target: str, color: Any, quiet: bool, output_file: str | None, **options: Any
) -> None:
    """Find where and why gradients vanish or explode in TARGET, before training.

    TARGET is file.py, file.py:name or package.module:name: a torch.nn.Module, its class, or a function that returns one
    or (model, batch, loss_fn, optimizer). What is not given is made, and the report says so.

    Exit code: 0 nothing found, 1 findings at the fail level, 2 could not check.
    """
    from steadygrad import rules
    from steadygrad.cli.progress import progress
    from steadygrad.errors import SettingsError, SubjectError
    from steadygrad.probe.loading import is_file, split
    from steadygrad.report import FORMATS, render, write_atomically
    from steadygrad.report.concise import findings
    from steadygrad.settings import load_settings

    place = split(target)[0]
    folder = Path(place).parent if is_file(place) else Path.cwd()
    names = ("device", "dtype", "seed", "trial", "select", "ignore", "fail_on", "output_format")
    given = {name: options[name] for name in names}
    if options["exit_zero"]:
        given["fail_on"] = "never"
    settings = load_settings(folder, given)
    rules.resolve(settings.selectors)
    if settings.output_format not in FORMATS:
        raise SettingsError(f"unknown output format {settings.output_format!r}; known are {', '.join(FORMATS)}")
    if output_file is not None and not Path(output_file).resolve().parent.is_dir():
        raise SettingsError(f"cannot write {output_file}: its folder does not exist; make it first")
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        import torch

        from steadygrad._check import check_subject

        subject = _subject(target, settings, options)
        try:
            report = check_subject(subject, trial=settings.trial, settings=settings, progress=say)
        except torch.OutOfMemoryError:
            raise SubjectError(
                "the device's memory is not enough; try a smaller batch (--input) or --trial 0"
            ) from None
    failed = settings.fail_on != "never" and bool(report.at_least(settings.fail_on))
    if not (quiet and not report.findings):
        if quiet and settings.output_format in ("text", "concise"):
            text = "\n".join(findings(report))
        else:
            text = render(report, settings.output_format, color="never" if output_file is not None else color)
        if output_file is not None:
            write_atomically(output_file, text)
        elif text:
            click.echo(text, color=True)
    ctx.exit(1 if failed else 0)


def _subject(target: str, settings: Any, options: dict[str, Any]) -> Any:
    """What the options and the target make together; an option wins over what the target brought along."""
    from steadygrad.errors import UserCodeError
    from steadygrad.probe.inputs import parse_input
    from steadygrad.probe.loading import load_function
    from steadygrad.probe.placing import loss_named, place_batch, place_model
    from steadygrad.probe.subject import make_subject
    from steadygrad.probe.target import load_target

    inputs = [parse_input(text) for text in options["inputs"]]
    loss_fn = loss_named(options["loss"]) if options["loss"] else None
    make_batch = load_function(options["batch"], "--batch") if options["batch"] else None
    loaded = load_target(target, dict(_pair(text) for text in options["arguments"]), seed=settings.seed)
    model = place_model(loaded.model, settings.device, settings.dtype)
    batch = None if inputs else loaded.batch
    if make_batch is not None:
        try:
            batch = make_batch()
        except Exception as error:
            raise UserCodeError(f"{options['batch']} raised this when it was asked for a batch") from error
    return make_subject(
        model,
        place_batch(batch, settings.device, settings.dtype),
        loss_fn or (None if inputs and loaded.batch is None else loaded.loss_fn),
        optimizer=options["optimizer"] or loaded.optimizer,
        seed=settings.seed,
        inputs=inputs,
        target=loaded.words,
    )


def _pair(text: str) -> tuple[str, str]:
    from steadygrad.errors import SettingsError

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise SettingsError(f"cannot read --arg {text!r}; write it as --arg depth=20")
    return key, value
