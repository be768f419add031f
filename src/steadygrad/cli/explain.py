"""``steadygrad explain``: a rule's page, with the cures that can help; or what a word of the reports means."""

from __future__ import annotations

import sys

import click

from steadygrad.cli import completing


@click.command(name="explain", short_help="Explain a rule, or a word: trunk, decade, spread.")
@click.argument("rule", shell_complete=completing.words)
@click.option("--output-format", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
def command(rule: str, output_format: str) -> None:
    """Explain RULE, given by code or name (SG102, saturated-activation), or a word of the reports (trunk, decade)."""
    from steadygrad.cures import explained

    show(explained(rule), output_format)


def show(page: str, output_format: str) -> None:
    """A page of Markdown, as it is or as a terminal shows it."""
    if output_format == "markdown":
        click.echo(page, nl=False)
        return
    import steadygrad.report.quiet_rich  # noqa: F401  # isort: skip
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
