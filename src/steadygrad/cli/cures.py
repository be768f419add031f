"""``steadygrad cures``: the table of all cures, or the page of one."""

from __future__ import annotations

import json

import click


@click.command(name="cures", short_help="List every cure, or explain one.")
@click.argument("name", required=False)
@click.option("--output-format", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def command(name: str | None, output_format: str) -> None:
    """List the cures, least intrusive first, each with its group, its safety and what it does; or print the page of NAME.

    NAME is a cure or one of its candidates. A finding's page (`steadygrad explain CODE`) lists the cures for it.
    """
    from steadygrad.cli.explain import show
    from steadygrad.cures import find, load
    from steadygrad.report.layout import fill, resolve_width

    if name is not None:
        show(find(name).page, output_format)
        return
    rows = [
        {"name": c.name, "group": c.group, "safety": c.safety, "summary": c.summary, "findings": list(c.findings)}
        for c in load()
    ]
    if output_format == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if output_format == "markdown":
        click.echo("| cure | group | safety | what it does |\n|---|---|---|---|")
        for row in rows:
            click.echo(f"| {row['name']} | {row['group']} | {row['safety']} | {row['summary']} |")
        return
    longest = max(len(row["name"]) for row in rows)
    room = max(20, resolve_width(None) - longest - 24)
    for row in rows:
        lines = fill(row["summary"], room)
        click.echo(f"{row['name']:{longest}s}  {row['group']:13s}  {row['safety']:6s} {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':{longest + 24}s}{line}")
