"""``steadygrad explain``: a rule's page."""

from __future__ import annotations

import sys

import click


@click.command(name="explain", short_help="Explain a rule: what it measures, an example, cures.")
@click.argument("rule")
@click.option("--output-format", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
def command(rule: str, output_format: str) -> None:
    """Explain RULE, given by code or name (SG102, saturated-activation)."""
    from steadygrad.rules import find

    found = find(rule)
    show(f"# {found.code} {found.name}\n\n{found.summary}\n\n{found.doc}\n", output_format)


def show(page: str, output_format: str) -> None:
    """A page of Markdown, as it is or as a terminal shows it."""
    if output_format == "markdown":
        click.echo(page, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    from steadygrad.report.colour import wants_colour
    from steadygrad.report.layout import resolve_width

    coloured = wants_colour()
    console = Console(
        file=sys.stdout,
        width=min(100, resolve_width(None)),
        force_terminal=coloured,
        no_color=not coloured,
        highlight=False,
    )
    console.print(Markdown(page, code_theme="ansi_dark", hyperlinks=False))
