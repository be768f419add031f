"""A cure as HTML, a whole page and for a notebook a fragment: what was taken, the gradient's way before and after, and
all that was tried.

May rely on the record and on the words of the text report beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadygrad import numerals
from steadygrad.record import CureRecord
from steadygrad.report import way
from steadygrad.report.cured import places, row, steps
from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.fragment import headline
from steadygrad.report.page import VERDICT_CLASS, page, table
from steadygrad.report.svg import safe


def render(record: CureRecord) -> str:
    """The page."""
    head = f'<h1 class="{VERDICT_CLASS[record.after.verdict.value]}">{safe(record.words)}</h1>'
    title = f"cure: {record.before.setup.model}"
    return page(title, "".join((head, *_parts(record))), style=way.STYLE, foot=_cost(record))


def fragment(record: CureRecord) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    head = headline(record.words, _cost(record), kind=record.after.verdict.value)
    return in_notebook([head, *_parts(record)], style=way.STYLE)


def _parts(record: CureRecord) -> Iterator[str]:
    before, after = record.before.verdict.value, record.after.verdict.value
    if record.taken is not None:
        told = [text for change in record.taken.changes for text in (change.words, *change.warnings)]
        rows = "".join(f"<li>{safe(text)}</li>" for text in told)
        rows += "".join(f"<li><code>{safe(place)}</code></li>" for place in places(record.taken))
        yield f"<p>verdict: {safe(before)} → {safe(after)}</p><ul>{rows}</ul>"
    arms = [("before", record.before)] + ([("after", record.after)] if record.taken is not None else [])
    for name, checked in arms:
        if checked.trunk is not None:
            yield f"<h2>{name}: {safe(checked.verdict.value)}</h2>{way.way(checked.trunk, checked.findings)}"
    if record.tried:
        head = ("tried", "verdict", "decades", "spread", f"loss, {steps(record)} steps", "changes")
        yield f"<h2>what was tried</h2>{table(head, [row(one) for one in record.tried])}"


def _cost(record: CureRecord) -> str:
    return f"{record.seconds:.1f} s, {numerals.count(len(record.tried), 'candidate')} tried"
