"""The report a person reads in a terminal, in the manner of rustc: each finding at its expression, then the picture.

Every number comes from the record, no line is wider than asked, and no string of the user's can reach the terminal as
a control code. May rely on the record and on its neighbours here; must not judge, measure or print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich.cells import cell_len

from steadygrad import numerals
from steadygrad.record import CheckRecord, Finding, Verdict
from steadygrad.report import words
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.facts import facts, limits
from steadygrad.report.headline import SAID, between, headline, next_step
from steadygrad.report.layout import fill, resolve_width, shorten
from steadygrad.report.profile import caption, chart
from steadygrad.report.snippet import excerpt

NAME = "text"

LABEL = 11
"""Cells for the names of the facts below the picture."""

CAUSES_SHOWN = 6


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "auto",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The report, ``width`` cells wide (default: the terminal's), without a newline at its end.

    A healthy model without findings is one line, and what was assumed or not seen; ``verbose`` adds the rest.
    """
    width, paint = resolve_width(width), Paint(wants_colour(color))
    findings, head = words.worst_first(record), _headline(record, width, paint)
    clear = record.verdict is Verdict.HEALTHY and not findings
    if clear and not verbose:
        about = [row for name, text in limits(record) for row in _fact(name, text, width, paint)]
        return "\n".join(row.rstrip() for row in (*head, *about))
    numbers = [at.end_line for finding in findings if (at := finding.location)]
    gutter = max((len(str(number)) for number in numbers), default=1)
    blocks = [head, *(list(_finding(finding, gutter, width, paint)) for finding in findings)]
    if record.trunk is not None:
        blocks += [list(_picture(record, width, paint)), [] if clear else list(_blame(record, width, paint))]
    blocks.append([row for name, text in facts(record) for row in _fact(name, text, width, paint)])
    if not clear:
        blocks.append(list(_closing(record, width, paint)))
    return "\n\n".join("\n".join(row.rstrip() for row in block) for block in blocks if block)


def _headline(record: CheckRecord, width: int, paint: Paint) -> list[str]:
    said = words.VERDICTS[record.verdict] if record.verdict is Verdict.HEALTHY else SAID[record.verdict]
    rows = fill(headline(record), width)
    return [row.replace(said, paint(said, record.verdict.value), 1) for row in rows[:1]] + rows[1:]


TWO_COLUMNS = 50
"""With fewer cells, a number stands behind its name and not beside it."""


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
    if finding.evidence:
        yield from _measured(finding, gutter, width, paint)
    for name, text in _remarks(finding, shown=bool(marked)):
        first, *rest = fill(text, width - gutter - len(name) - 5)
        yield f"{pad} {paint('=', 'gutter')} {paint(name + ':', 'strong')} {first}"
        yield from (" " * (gutter + len(name) + 5) + row for row in rest)


def _measured(finding: Finding, gutter: int, width: int, paint: Paint) -> Iterator[str]:
    """List what was measured and what was expected, a number a row."""
    indent = gutter + len("measured") + 5
    pairs = [words.measured(item) for item in finding.evidence]
    if width - indent < TWO_COLUMNS:
        pairs, left = [(f"{name}: {value}", "") for name, value in pairs], width - indent
    else:
        left = min(max(cell_len(name) for name, _ in pairs), (width - indent) * 3 // 5)
    lead = f"{' ' * gutter} {paint('=', 'gutter')} {paint('measured:', 'strong')} "
    for name, value in pairs:
        names, values = fill(name, left), fill(value, max(1, width - indent - left - 2))
        for at in range(max(len(names), len(values))):
            row, beside = (column[at] if at < len(column) else "" for column in (names, values))
            yield f"{lead}{row}{' ' * (left - cell_len(row) + 2)}{beside}".rstrip()
            lead = " " * indent


def _remarks(finding: Finding, *, shown: bool) -> Iterator[tuple[str, str]]:
    if finding.label and not shown:
        yield "seen", words.clean(finding.label)
    if finding.consequence:
        yield "effect", words.clean(finding.consequence)
    if finding.cures:
        yield "help", words.clean(words.help_for(finding))
    if finding.explains:
        yield "explains", words.clean(", ".join(finding.explains))
    for place in finding.also:
        text = " ".join(words.clean(place.text).split())
        yield "also", f"{words.shown_place(place)} {shorten(text, 50)}".rstrip()


def _picture(record: CheckRecord, width: int, paint: Paint) -> Iterator[str]:
    assert record.trunk is not None
    yield from (f"  {paint(row, 'strong')}" for row in fill(caption(record.trunk), width - 2))
    for axis, curve in chart(record.trunk, width - 4):
        yield f"  {paint(axis, 'faint')}{paint(curve, 'faint' if axis.endswith('└') else 'curve')}"


def _blame(record: CheckRecord, width: int, paint: Paint) -> Iterator[str]:
    """The decades between output and input by cause; shares add up to 100 %, where all causes pull the same way."""
    assert record.trunk is not None
    total = between(record)
    causes = sorted(record.trunk.blame.items(), key=lambda item: -abs(item[1]))
    causes = [(name, value) for name, value in causes if name != "loss" and not abs(value) < 0.05]
    shown, others = causes[:CAUSES_SHOWN], causes[CAUSES_SHOWN:]
    if others:
        shown.append((numerals.count(len(others), "other cause"), sum(value for _, value in others)))
    if not shown:
        return
    one_way = math.isfinite(total) and abs(total) >= 1 and all(value * total >= 0 for _, value in shown)
    room = max(cell_len(name) for name, _ in shown)
    figure = max(len(numerals.one_decimal(value)) for _, value in shown)
    bars = max(0, min(40, width - room - figure - 16))
    greatest = max((abs(value) for _, value in shown if math.isfinite(value)), default=0.0)
    what = numerals.decades(total) if math.isfinite(total) else "decades"
    yield from (
        f"  {paint(row, 'strong')}" for row in fill(f"{what} between the output and the input, by cause", width - 2)
    )
    for name, value in shown:
        row = f"  {words.clean(name):<{room}}  {numerals.one_decimal(value):>{figure}}"
        if one_way:
            row += f"  {numerals.percent(value / total):>4}"
        if math.isfinite(value) and greatest:
            row += f"  {paint('█' * round(bars * abs(value) / greatest), 'curve')}"
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
    if command := next_step(record):
        first, *rest = fill(words.clean(command), width - 5)
        yield f"{paint('try:', 'strong')} {first}"
        yield from (f"     {row}" for row in rest)
