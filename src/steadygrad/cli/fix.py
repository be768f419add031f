"""``steadygrad fix``: the cure written into the source, as a diff or into the files."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.cure import plan_options, planner_options
from steadygrad.cli.subject import asked, settings_for, subject_of, subject_options


@click.command(name="fix", short_help="Write the cure into the source.")
@click.argument("target", shell_complete=completing.files)
@subject_options
@plan_options
@click.option("--diff", "only_diff", is_flag=True, help="Print the patch (the default) and nothing else.")
@click.option("--write", is_flag=True, help="Write it into the files.")
@click.option("--unsafe-fixes", is_flag=True, help="Also fixes that change what the model computes.")
@click.option("--allow-dirty", is_flag=True, help="Write into files with changes that git does not know.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    only_diff: bool,
    write: bool,
    unsafe_fixes: bool,
    allow_dirty: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Find the least intrusive cure of TARGET that can be written into its source, prove it there, and print the patch.

    The patched files are loaded in a fresh process, checked and trained ten steps before anything is offered, and again with
    two other values of each whole number that the constructor takes. Safe fixes change numbers only. With --write they go
    into the files; with --unsafe-fixes also those that change the model.

    Exit code: 0 nothing to fix, or fixed; 1 there is a fix that was not written, or none that holds; 2 could not check.
    """
    from steadygrad.cli.progress import progress
    from steadygrad.errors import OutputError, SettingsError

    if write and only_diff:
        raise SettingsError("--write and --diff contradict each other; give one of them")
    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    # What is asked for by name is shown, whatever it changes; writing it still takes --unsafe-fixes.
    safe = not unsafe_fixes and not options["only"]
    given = replace(planner_options(options, settings, compare=False), safe=safe)
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad._fix.apply import make_fix
        from steadygrad._fix.source import libcst

        libcst()
        subject = subject_of(target, settings, options)
        found = make_fix(subject, asked(settings, options), given, say)
    if not found.found:
        _tell_none(found, safe=safe)
        ctx.exit(0 if found.healthy else 1)
    if write:
        try:
            said = found.write(unsafe_fixes=unsafe_fixes, allow_dirty=allow_dirty)
        except OutputError:
            click.echo(shown(found.diff()), nl=False)
            raise
        for line in said:
            click.echo(line)
    else:
        click.echo(shown(found.diff()), nl=False)
    for line in (found.words, *found.told):
        click.echo(line, err=not write)
    if not write and not only_diff:
        unsafe = " --unsafe-fixes" if found.safety != "safe" else ""
        click.echo(f"to put it into the source, run the same with --write{unsafe}", err=True)
    ctx.exit(0 if write else 1)


def shown(diff: str) -> str:
    """Return the patch unchanged, so that it can be applied; on a terminal nothing in it moves the cursor."""
    if not sys.stdout.isatty():
        return diff
    from steadygrad.report.words import clean

    lines = (line.removesuffix("\r").split("\t") for line in diff.split("\n"))
    return "\n".join("\t".join(map(clean, parts)) for parts in lines)


def _tell_none(found: Any, *, safe: bool) -> None:
    """Print why there is no fix, what was drafted, and what to do instead; Python to run goes to standard output."""
    click.echo(found.why, err=True)
    for line in found.tried:
        click.echo(f"  {line}", err=True)
    if found.by_hand:
        click.echo("the same in Python, without touching a file:", err=True)
        click.echo(found.by_hand)
    if safe and not found.healthy:
        click.echo("only safe fixes were tried; --unsafe-fixes also changes what the model computes", err=True)
