"""A check as HTML without scripts, for light and dark: a whole page, and for a notebook a fragment.

Every string of the record is escaped here, where it enters. May rely on the record and on the words and the picture
of its neighbours; must not know of terminals, widths or colours, which it takes and passes over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from steadygrad import numerals
from steadygrad.record import CheckRecord, Finding, Location
from steadygrad.report import svg, way, words
from steadygrad.report.colour import Color
from steadygrad.report.facts import facts
from steadygrad.report.fragment import CLASS, STYLE
from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.fragment import headline as first_line
from steadygrad.report.headline import headline, next_step
from steadygrad.report.page import VERDICT_CLASS, page
from steadygrad.report.profile import sample
from steadygrad.report.svg import safe as _safe

NAME = "html"

COLUMNS = 200
"""Of the curve of the loss; of more steps several share a column."""


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """A whole page."""
    after = next_step(record)
    title = f'<h1 class="{VERDICT_CLASS[record.verdict.value]}">{_safe(headline(record))}</h1>'
    then = f"<p>next: <code>{_safe(after)}</code></p>" if after else ""
    body = f'{title}{then}<div class="sg-report">{"".join(_report(record, opened=verbose))}</div>'
    return page(f"{words.verdict(record)}: {record.setup.model}", body, style=STYLE + way.STYLE)


def fragment(record: CheckRecord) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    head = first_line(words.verdict(record), words.tally(record), words.price(record), kind=record.verdict.value)
    return in_notebook([head, *_report(record, opened=False)], style=way.STYLE)


def _report(record: CheckRecord, *, opened: bool) -> Iterator[str]:
    yield from map(_finding, words.worst_first(record))
    if record.trunk is not None:
        yield way.way(record.trunk, record.findings)
    if record.trial is not None:
        yield _losses(record.trial.losses)
    about = _definitions(facts(record))
    shown = " open" if opened else ""
    yield f"<details{shown}><summary>what was examined, assumed and seen</summary>{about}</details>"


def _losses(losses: Sequence[float]) -> str:
    """The loss of the step test, a column a step."""
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(0.0, *finite), max(finite)
    columns = min(len(losses), COLUMNS)
    shown = sample(losses, columns)
    titles = [f"step {at * len(losses) // columns}: loss {numerals.number(value)}" for at, value in enumerate(shown)]
    labels = (numerals.number(high), numerals.number(low))
    ends = ("step 0", f"step {len(losses) - 1}")
    drawn = svg.curves([svg.Curve(shown)], titles, labels=labels, span=(low, high), ends=ends)
    return f"<p><b>loss on a copy, with your optimizer</b></p>{drawn}"


def _finding(finding: Finding) -> str:
    at = finding.location
    where = [words.place(finding)] if at or finding.module else []
    where += [finding.module] if at and finding.module else []
    where += [f"first of {finding.count:,} places"] if finding.count > 1 else []
    remarks = [
        ("seen", finding.label),
        ("measured", words.evidence(finding.evidence)),
        ("effect", finding.consequence),
        ("help", words.help_for(finding)),
    ]
    return (
        f'<section class="{CLASS[finding.severity.value]}">'
        f'<p><b><span class="c">{finding.severity.value}[{_safe(finding.code)}]</span> '
        f"{_safe(finding.name)}: {_safe(finding.message)}</b></p><p>{_safe(' · '.join(where))}</p>"
        f"{_source(at) if at else ''}{_definitions(remarks)}</section>"
    )


def _source(at: Location) -> str:
    if not at.text:
        return ""
    before, after = at.lines[0][: at.column - 1], at.lines[-1][at.end_column - 1 :]
    indent = len(before) - len(before.lstrip()) if at.line == at.end_line else 0
    before = before[indent:]
    return f"<pre>{_safe_lines(before)}<mark>{_safe_lines(at.text)}</mark>{_safe_lines(after)}</pre>"


def _definitions(items: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{_safe(name)}</dt><dd>{_safe(text)}</dd>" for name, text in items if text)
    return f"<dl>{rows}</dl>" if rows else ""


def _safe_lines(text: str) -> str:
    return "\n".join(_safe(line.replace("\t", "    ")) for line in text.split("\n"))
