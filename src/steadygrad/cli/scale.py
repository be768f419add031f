"""``steadygrad scale``: what of a model grows when the model does, before the large one is trained."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.subject import asked, settings_for, subject_options


@click.command(name="scale", short_help="Measure what grows when the model is made wider.")
@click.argument("target", shell_complete=completing.files)
@click.option("--width", required=True, metavar="NAME=SIZES", help="The argument that grows: hidden=64,128,256,512.")
@subject_options
@click.option(
    "--steps", type=click.IntRange(min=1), default=3, show_default=True, help="Steps before updates are measured."
)
@click.option("--seeds", type=click.IntRange(min=1), default=2, show_default=True, help="Models of each size.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    width: str,
    steps: int,
    seeds: int,
    output_format: str,
    color: Any,
    quiet: bool,
    **options: Any,
) -> None:
    """Build TARGET at each size, take a few real steps on copies, and fit how outputs and updates grow.

    An exponent of 0 stays the same at every width; an update of 1 doubles where the width doubles, and the wide model needs
    half the learning rate. Writes nothing.

    Exit code: 0 nothing grows; 1 something does; 2 could not check.
    """
    from steadygrad.cli.progress import progress

    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    argument, sizes = _read(width)
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.scaling.check_scale import scale_of
        from steadygrad.subject.from_options import subject_of

        given = asked(settings, options)

        def member(size: int, seed: int) -> Any:
            arguments = [*given["arguments"], f"{argument}={size}"]
            return subject_of(target, {**given, "arguments": arguments, "seed": given["seed"] + seed})

        found = scale_of(member, sizes, argument, target=target, steps=steps, seeds=seeds, progress=say)
    if output_format == "json":
        from steadygrad.report.as_json import scale_as_json

        click.echo(scale_as_json(found))
    else:
        from steadygrad.report.scale import render

        click.echo(render(found, color=color), color=True)
    ctx.exit(0 if found.stable else 1)


def _read(text: str) -> tuple[str, list[int]]:
    name, equals, sizes = text.partition("=")
    parts = [part.strip() for part in sizes.split(",")]
    if not (equals and name and all(part.isdecimal() for part in parts) and len(set(parts)) > 1):
        raise click.UsageError(f"cannot read --width {text!r}; write it as --width hidden=64,128,256")
    return name, [int(part) for part in parts]
