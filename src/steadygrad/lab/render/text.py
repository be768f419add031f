"""A run of an experiment as a terminal shows it: claim, figure, readings, verdict."""

from __future__ import annotations

from collections.abc import Iterator

from steadygrad.lab.outcome import Diagram, Panel, Ran, Reading
from steadygrad.lab.render import terminal, words
from steadygrad.numerals import seconds
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width, shorten
from steadygrad.report.words import clean

INDENT = 13
"""Cells in front of a section's text."""


def render(ran: Ran, *, width: int | None = None, color: Color = "auto") -> str:
    """The whole run, ``width`` cells wide."""
    width, paint = resolve_width(width), Paint(wants_colour(color))
    parts = [list(_head(ran, width, paint))]
    parts += [_figure(figure, width, paint) for figure in ran.outcome.figures]
    parts += [list(_readings(ran, width, paint)), list(_verdict(ran, width, paint))]
    return "\n\n".join("\n".join(part) for part in parts)


def line(ran: Ran, paint: Paint) -> str:
    """``depth-product   supported   1.2 s``."""
    verdict = ran.outcome.verdict
    painted = paint(f"{verdict:30}", words.STYLES.get(verdict, "at risk"))
    return f"{clean(ran.name):16} {painted} {seconds(ran.seconds):>8}"


def _head(ran: Ran, width: int, paint: Paint) -> Iterator[str]:
    yield from (paint(part, "strong") for part in fill(clean(f"{ran.name}: {ran.summary}"), width))
    for heading, text in ran.sections.items():
        yield from _section(heading.lower(), text, width, paint)
    yield from _section("settings", words.settings(ran), width, paint)


def _section(name: str, text: str, width: int, paint: Paint) -> Iterator[str]:
    lines = fill(clean(" ".join(text.split())), width - INDENT)
    for number, content in enumerate(lines):
        yield paint(f"{clean(name)[: INDENT - 1] if number == 0 else '':{INDENT}}", "faint") + content


def _figure(figure: Panel | Diagram, width: int, paint: Paint) -> list[str]:
    if isinstance(figure, Diagram):
        return [paint(clean(figure.title), "strong"), *(_kept(row, width) for row in figure.text.splitlines())]
    return terminal.draw(figure, width, paint)


def _kept(row: str, width: int) -> str:
    return shorten(clean(row).rstrip(), width)


def _readings(ran: Ran, width: int, paint: Paint) -> Iterator[str]:
    for reading in ran.outcome.readings:
        mark, style = _mark(reading)
        text = f"{clean(reading.what)}: {words.measured(reading)}; the claim needs {words.needed(reading)}"
        for number, content in enumerate(fill(text, width - 2)):
            yield f"{paint(mark, style) if number == 0 else ' '} {content}"


def _mark(reading: Reading) -> tuple[str, str]:
    style = words.STYLES.get(reading.verdict, "at risk")
    return {"healthy": "✓", "will not train": "✗"}.get(style, "?"), style


def _verdict(ran: Ran, width: int, paint: Paint) -> Iterator[str]:
    verdict = ran.outcome.verdict
    text = f"{verdict} · {seconds(ran.seconds)}{f' · {clean(ran.outcome.seen)}' if ran.outcome.seen else ''}"
    first, *rest = fill(text, width)
    yield paint(verdict, words.STYLES.get(verdict, "at risk")) + first.removeprefix(verdict)
    yield from rest
