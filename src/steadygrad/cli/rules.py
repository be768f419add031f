"""``steadygrad rules``: the table of all rules."""

from __future__ import annotations

import json

import click


@click.command(name="rules", short_help="List every rule.")
@click.option("--output-format", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def command(output_format: str) -> None:
    """List every rule with its code, its name and what it finds. `steadygrad explain CODE` explains one."""
    from steadygrad.report.layout import fill, resolve_width
    from steadygrad.rules import load

    if output_format == "json":
        rows = [{"code": rule.code, "name": rule.name, "summary": rule.summary} for rule in load()]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if output_format == "markdown":
        click.echo("| code | name | what it finds |\n|---|---|---|")
        for rule in load():
            click.echo(f"| {rule.code} | {rule.name} | {rule.summary} |")
        return
    longest = max(len(rule.name) for rule in load())
    room = max(20, resolve_width(None) - longest - 9)
    for rule in load():
        lines = fill(rule.summary, room)
        click.echo(f"{rule.code}  {rule.name:{longest}s} {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':{longest + 8}s}{line}")
