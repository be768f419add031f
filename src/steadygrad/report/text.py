"""The report a person reads in a terminal, in the manner of rustc: each finding at its expression, then the picture.

Every number comes from the record, no line is wider than asked, and no string of the user's can reach the terminal as
a control code. May rely on the record and on its neighbours here; must not judge, measure or print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich.cells import cell_len

from steadygrad.record import CheckRecord, Finding, Trunk, Verdict
from steadygrad.report import words
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.facts import facts
from steadygrad.report.layout import fill, resolve_width, shorten
from steadygrad.report.profile import caption, chart
from steadygrad.report.snippet import excerpt

NAME = "text"

LABEL = 11
"""Cells for the names of the facts below the picture."""

CAUSES_SHOWN = 6


def render(record: CheckRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """The report, ``width`` cells wide (default: the terminal's), without a newline at its end."""
    width, paint = resolve_width(width), Paint(wants_colour(color))
    findings = words.worst_first(record)
    numbers = [at.end_line for finding in findings if (at := finding.location)]
    gutter = max((len(str(number)) for number in numbers), default=1)
    blocks = [list(_finding(finding, gutter, width, paint)) for finding in findings]
    if record.trunk is not None:
        blocks.append(list(_picture(record.trunk, width, paint)))
        if record.verdict is not Verdict.HEALTHY or findings:
            blocks.append(list(_blame(record.trunk, width, paint)))
    blocks.append([row for name, text in facts(record) for row in _fact(name, text, width, paint)])
    blocks.append(list(_closing(record, width, paint)))
    return "\n\n".join("\n".join(row.rstrip() for row in block) for block in blocks if block)


def _finding(finding: Finding, gutter: int, width: int, paint: Paint) -> Iterator[str]:
    style = finding.severity.value
    head = f"{style}[{words.clean(finding.code)}]:"
    first, *rest = fill(words.clean(f"{finding.name}: {finding.message}"), width - cell_len(head) - 1)
    yield f"{paint(head, style)} {paint(first, 'strong')}"
    yield from (" " * (cell_len(head) + 1) + paint(row, "strong") for row in rest)

    at, pad = finding.location, " " * gutter
    where = [words.place(finding)] if at or finding.module else []
    where += [words.clean(finding.module)] if at and finding.module else []
    where += [f"first of {finding.count:,} places"] if finding.count > 1 else []
    rows = fill(" · ".join(where), width - gutter - 4) if where else []
    for row, lead in zip(rows, ["-->", *["   "] * len(rows)], strict=False):
        yield f"{pad}{paint(lead, 'gutter')} {row}"
    marked = excerpt(at, words.clean(finding.label), style=style, gutter=gutter, width=width, paint=paint) if at else []
    yield from marked
    if marked:
        yield paint(f"{pad} |", "gutter")
    for name, text in _remarks(finding, shown=bool(marked)):
        first, *rest = fill(text, width - gutter - len(name) - 5)
        yield f"{pad} {paint('=', 'gutter')} {paint(name + ':', 'strong')} {first}"
        yield from (" " * (gutter + len(name) + 5) + row for row in rest)


def _remarks(finding: Finding, *, shown: bool) -> Iterator[tuple[str, str]]:
    if finding.label and not shown:
        yield "seen", words.clean(finding.label)
    if finding.evidence:
        yield "measured", words.evidence(finding.evidence)
    if finding.consequence:
        yield "so", words.clean(finding.consequence)
    if finding.cures:
        yield "help", words.clean("; or ".join(finding.cures))
    if finding.explains:
        yield "explains", words.clean(", ".join(finding.explains))
    for place in finding.also:
        text = " ".join(words.clean(place.text).split())
        yield "also", f"{words.shown_path(place.path)}:{place.line}:{place.column} {shorten(text, 50)}".rstrip()


def _picture(trunk: Trunk, width: int, paint: Paint) -> Iterator[str]:
    yield from (f"  {paint(row, 'strong')}" for row in fill(caption(trunk), width - 2))
    for axis, curve in chart(trunk, width - 4):
        yield f"  {paint(axis, 'faint')}{paint(curve, 'faint' if axis.endswith('└') else 'curve')}"


def _blame(trunk: Trunk, width: int, paint: Paint) -> Iterator[str]:
    """The decades by cause; shares add up to 100 %, where there is a total to speak of."""
    total = trunk.decades
    causes = sorted(trunk.blame.items(), key=lambda item: -abs(item[1]))
    causes = [(name, value) for name, value in causes if not abs(value) < 0.05]
    shown, others = causes[:CAUSES_SHOWN], causes[CAUSES_SHOWN:]
    if others:
        shown.append((words.count(len(others), "other cause"), sum(value for _, value in others)))
    if not shown:
        return
    divisible = math.isfinite(total) and abs(total) >= 1
    room = max(cell_len(name) for name, _ in shown)
    figure = max(len(words.one_decimal(value)) for _, value in shown)
    bars = max(0, min(40, width - room - figure - 18))
    yield paint(f"  {words.decades(total) if math.isfinite(total) else 'decades'}, by cause", "strong")
    for name, value in shown:
        row = f"  {words.clean(name):<{room}}  {words.one_decimal(value):>{figure}}"
        if divisible:
            bar = "█" * round(bars * min(1.0, max(0.0, value / total)))
            row = f"{row}  {words.percent(value / total):>6}  {paint(bar, 'curve')}"
        yield row


def _fact(name: str, text: str, width: int, paint: Paint) -> Iterable[str]:
    if not text:
        return
    name = words.clean(name)
    first, *rest = fill(words.clean(text), width - LABEL - 2)
    yield f"  {paint(name, 'faint')}{' ' * max(1, LABEL - cell_len(name))}{first}"
    yield from (" " * (LABEL + 2) + row for row in rest)


def _closing(record: CheckRecord, width: int, paint: Paint) -> Iterator[str]:
    verdict = words.VERDICTS[record.verdict]
    first, *rest = fill(f"{words.verdict(record)} · {words.tally(record)} · {words.price(record)}", width)
    yield f"{paint(verdict, record.verdict.value)}{first.removeprefix(verdict)}"
    yield from rest
