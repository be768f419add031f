"""``steadygrad fix``: the cure written into the source, as a diff or into the files."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import Any

import click

from steadygrad.cli.cure import plan_options, planner_options
from steadygrad.cli.subject import asked, settings_for, subject_of, subject_options


@click.command(name="fix", short_help="Write the cure into the source.")
@click.argument("target")
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

    The patched files are loaded in a fresh process, checked and trained ten steps before anything is offered. Safe fixes
    change numbers only. With --write they go into the files; with --unsafe-fixes also those that change the model.

    Exit code: 0 nothing to fix, or fixed; 1 there is a fix that was not written, or none that holds; 2 could not check.
    """
    from steadygrad.cli.progress import progress
    from steadygrad.errors import SettingsError

    if write and only_diff:
        raise SettingsError("--write and --diff contradict each other; give one of them")
    settings = settings_for(target, {name: options[name] for name in ("device", "dtype", "seed")})
    given = planner_options(options, settings, compare=False)
    with progress(target, quiet=quiet) as say, contextlib.redirect_stdout(sys.stderr):
        from steadygrad.fix.apply import Fix, make_fix
        from steadygrad.fix.save import write_fix

        subject = subject_of(target, settings, options)
        found = make_fix(subject, asked(settings, options), replace(given, safe=not unsafe_fixes), say)
    if not isinstance(found, Fix):
        click.echo(found.why, err=found.cured.taken is None)
        for line in found.tried:
            click.echo(f"  {line}", err=True)
        if found.by_hand:
            click.echo(f"in Python: {found.by_hand}")
        healthy = found.cured.before.verdict.value == "healthy"
        if not healthy and not unsafe_fixes:
            click.echo("no safe fix; --unsafe-fixes also tries changes to what the model computes", err=True)
        ctx.exit(0 if healthy else 1)
    assert found.cured.taken is not None
    title = found.cured.taken.candidate.title
    if write:
        for line in write_fix(found, allow_dirty=allow_dirty):
            click.echo(line)
    else:
        click.echo(found.diff(), nl=False)
    after = found.cured.after.verdict.value
    click.echo(f"{found.safety} fix: {title}: {found.cured.before.verdict.value} → {after}", err=not write)
    for line in found.told:
        click.echo(line, err=not write)
    ctx.exit(0 if write else 1)
