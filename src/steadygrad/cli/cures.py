"""``steadygrad cures``: the table of all cures, or the page of one."""

from __future__ import annotations

import json

import click

from steadygrad.cli import completing


@click.command(name="cures", short_help="List every cure, or explain one.")
@click.argument("name", required=False, shell_complete=completing.cures)
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
    if output_format == "json":
        rows = [
            {"name": c.name, "group": c.group, "safety": c.safety, "summary": c.summary, "findings": c.findings}
            for c in load()
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if output_format == "markdown":
        click.echo("| cure | group | safety | what it does |\n|---|---|---|---|")
        for one in load():
            click.echo(f"| {one.name} | {one.group} | {one.safety} | {one.summary} |")
        return
    longest = max(len(one.name) for one in load())
    room = max(20, resolve_width(None) - longest - 2)
    for one in load():
        facts = f"{one.group} · {one.safety} · {', '.join(one.findings)}"
        for number, line in enumerate([*fill(one.summary, room), *fill(facts, room)]):
            click.echo(f"{one.name if number == 0 else '':{longest}s}  {line}")
