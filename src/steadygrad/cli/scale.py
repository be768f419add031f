"""``steadygrad scale``: what of a model grows when the model does, before the large one is trained."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from steadygrad.cli import completing
from steadygrad.cli.fix import shown
from steadygrad.cli.formats import output_options
from steadygrad.cli.subject import asked, settings_for, subject_options


@click.command(name="scale", short_help="Measure what grows when the model is made wider or deeper.")
@click.argument("target", shell_complete=completing.files)
@click.option(
    "--width",
    multiple=True,
    metavar="NAME=SIZES",
    help="The argument that grows: hidden=64,128,256, or config.hidden=64,128,256; again for others that grow with it.",
)
@click.option(
    "--depth", metavar="NAME=DEPTHS", help="The number of layers instead: layers=4,8,16 or config.layers=4,8,16."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="With --depth: time for short trainings that find where it stops training.",
)
@subject_options
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="With --width: steps before updates are measured.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=2, show_default=True, help="Models of each size.")
@click.option(
    "--prove-at",
    type=click.IntRange(min=1),
    metavar="SIZE",
    help="Train the smallest model and one of this size at several rates: does the cure let one rate serve both?",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False),
    metavar="FILE.py",
    help="Write the cure as a module of your own, which needs torch alone: the start and the rates for any size.",
)
@click.option(
    "--diff", is_flag=True, help="Print the cure as a patch of your source; the report goes to standard error."
)
@click.option("--write-source", is_flag=True, help="Write that patch into the files.")
@click.option("--allow-dirty", is_flag=True, help="Write into files with changes that git does not know.")
@output_options("text", "json", "html")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    width: tuple[str, ...],
    depth: str | None,
    seconds: float,
    steps: int,
    seeds: int,
    prove_at: int | None,
    write: str | None,
    diff: bool,
    write_source: bool,
    allow_dirty: bool,
    output_format: str,
    color: Any,
    quiet: bool,
    **options: Any,
) -> None:
    """Build TARGET at each size, take a few real steps on copies, and fit how outputs and updates grow.

    An exponent of 0 stays the same at every width; an update of 1 doubles where the width doubles, and the wide model needs
    half the learning rate. With --depth: what grows from layer to layer, and the depth at which it stops training. With
    --prove-at: whether the best rate of the smallest model serves a large one. With --diff: the cure in the constructor and at
    the optimizer of your own source, checked in a fresh process. It writes no file without --write or --write-source.

    Exit code: 0 nothing grows, or the source was patched; 1 something grows; 2 could not check.
    """
    from steadygrad.cli.progress import progress

    unread = ctx.get_parameter_source("steps" if depth else "seconds") is ParameterSource.COMMANDLINE
    if unread:
        raise click.UsageError(
            "--steps goes with --width, --seconds with --depth; leave out the one that has no effect"
        )
    if bool(width) == bool(depth):
        raise click.UsageError("give --width hidden=64,128,256 or --depth layers=4,8,16, one of them")
    if write is not None:
        _check_own(write)
    if diff and (write_source or output_format != "text"):
        other = "--write-source" if write_source else "--output-format"
        raise click.UsageError(f"--diff and {other} contradict each other; give one of them")
    if diff or write_source:
        from steadygrad._fix.source import libcst

        libcst()
    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    grown = _read(width, "--width", "hidden=64,128,256") or _read((depth or "",), "--depth", "layers=4,8,16")
    argument, sizes = next(iter(grown.items()))
    if prove_at is not None:
        grown = _with_large(grown, prove_at)
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.scaling.check_depth import depth_of
        from steadygrad.scaling.check_scale import scale_of
        from steadygrad.subject.from_options import subject_of

        given = asked(settings, options)

        def options_at(size: int) -> dict[str, Any]:
            known = grown[argument]
            at = {name: values[known.index(size)] for name, values in grown.items()} if width else {argument: size}
            return {**given, "arguments": [*given["arguments"], *(f"{name}={value}" for name, value in at.items())]}

        def member(size: int, seed: int) -> Any:
            return subject_of(target, {**options_at(size), "seed": given["seed"] + seed})

        shared: dict[str, Any] = {"target": target, "seeds": seeds, "prove_at": prove_at, "progress": say}
        found: Any
        if depth:
            found = depth_of(member, sizes, argument, seconds=seconds, **shared)
        else:
            found = scale_of(member, sizes, argument, steps=steps, **shared)
    if output_format == "json":
        from steadygrad.report.as_json import depth_as_json, scale_as_json

        click.echo(depth_as_json(found) if depth else scale_as_json(found))
    elif output_format == "html":
        from steadygrad.report import scale_page

        click.echo(scale_page.render(found))
    else:
        from steadygrad.report import depth as depth_report
        from steadygrad.report import scale as scale_report

        click.echo((depth_report if depth else scale_report).render(found, color=color), color=True, err=diff)
    # Last, so that a path that cannot be written loses nothing of what was measured.
    if write is not None:
        from steadygrad.report.write import write_atomically

        write_atomically(write, found.as_code())
        click.echo(f"wrote {write}", err=True)
    patched = False
    if found.stable and (diff or write_source):
        click.echo(f"nothing to patch: nothing grows with {argument}", err=True)
    elif diff or write_source:
        with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
            say("proving the patch")
            patch = _patch(found, target, options_at)
        patched = patch is not None and _deliver(patch, write=write_source, allow_dirty=allow_dirty)
    ctx.exit(0 if found.stable or patched else 1)


def _patch(found: Any, target: str, options_at: Callable[[int], dict[str, Any]]) -> Any:
    """The proven patch; None where there is none, after the reason was told."""
    from steadygrad._fix.growth import patch_of
    from steadygrad.errors import CannotFixError

    try:
        return patch_of(found, target, options_at)
    except CannotFixError as error:
        click.echo(f"no patch: {error}", err=True)
        return None


def _deliver(patch: Any, *, write: bool, allow_dirty: bool) -> bool:
    """Print the patch or write it, as ``fix`` does; whether it was written."""
    from steadygrad.errors import OutputError

    if write:
        try:
            said = patch.write(allow_dirty=allow_dirty)
        except OutputError:
            click.echo(shown(patch.diff()), nl=False)
            raise
        for line in said:
            click.echo(line, err=True)
    else:
        click.echo(shown(patch.diff()), nl=False)
    for line in (patch.words, *patch.told):
        click.echo(line, err=True)
    if not write:
        click.echo("to put it into the source, run the same with --write-source", err=True)
    return write


def _check_own(path: str) -> None:
    """Raise ``UsageError`` where a file of somebody else's would be overwritten."""
    from steadygrad.scaling.as_code import MARK

    try:
        begins = Path(path).read_text(encoding="utf-8", errors="replace")[: len(MARK)]
    except OSError:
        return
    if begins not in ("", MARK):
        raise click.UsageError(f"{path} exists and was not written by steadygrad scale; name another file")


def _with_large(grown: dict[str, list[int]], large: int) -> dict[str, list[int]]:
    """The sizes with that of the large model; the others grow with the first in proportion."""
    first = next(iter(grown.values()))
    for name, sizes in grown.items():
        if any(size * first[0] != sizes[0] * of for size, of in zip(sizes, first, strict=True)):
            raise click.UsageError(
                f"{name} does not grow in proportion to the first argument, so its size at {large} is unknown"
            )
    if large <= min(first):
        raise click.UsageError(f"--prove-at {large} is not above the smallest size, {min(first)}")
    return {name: [*sizes, large * sizes[0] // first[0]] for name, sizes in grown.items()}


def _read(texts: tuple[str, ...], option: str, example: str) -> dict[str, list[int]]:
    """Sizes by argument; those of the first are the sizes of the model."""
    found: dict[str, list[int]] = {}
    for text in texts:
        name, equals, sizes = text.partition("=")
        parts = [part.strip() for part in sizes.split(",")]
        if not (equals and name and all(part.isdecimal() for part in parts) and len(set(parts)) > 1):
            raise click.UsageError(f"cannot read {option} {text!r}; write it as {option} {example}")
        found[name] = [int(part) for part in parts]
    if found:
        first, *others = found
        for name in others:
            if len(found[name]) != len(found[first]):
                raise click.UsageError(
                    f"{option} has {len(found[first])} sizes of {first} and {len(found[name])} of {name}; give as many of each"
                )
    return found
