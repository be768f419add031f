"""A cure as a whole HTML page: what was taken, the gradient's way before and after, and all that was tried.

May rely on the record and on the words of the text report beside it.
"""

from __future__ import annotations

from steadygrad import numerals
from steadygrad.record import CureRecord
from steadygrad.report import way
from steadygrad.report.cured import places, row, steps
from steadygrad.report.page import VERDICT_CLASS, page, table
from steadygrad.report.svg import safe


def render(record: CureRecord) -> str:
    """The page."""
    before, after = record.before.verdict.value, record.after.verdict.value
    parts = [f'<h1 class="{VERDICT_CLASS[after]}">{safe(record.words)}</h1>']
    if record.taken is not None:
        parts.append(f"<p>verdict: {safe(before)} → {safe(after)}</p><ul>")
        for change in record.taken.changes:
            parts += [f"<li>{safe(text)}</li>" for text in (change.words, *change.warnings)]
        parts += [f"<li><code>{safe(place)}</code></li>" for place in places(record.taken)]
        parts.append("</ul>")
    arms = [("before", record.before)] + ([("after", record.after)] if record.taken is not None else [])
    for name, checked in arms:
        if checked.trunk is not None:
            parts += [f"<h2>{name}: {safe(checked.verdict.value)}</h2>", way.way(checked.trunk, checked.findings)]
    if record.tried:
        head = ("tried", "verdict", "decades", "spread", f"loss, {steps(record)} steps", "changes")
        parts += ["<h2>what was tried</h2>", table(head, [row(one) for one in record.tried])]
    foot = f"{record.seconds:.1f} s, {numerals.count(len(record.tried), 'candidate')} tried"
    return page(f"cure: {record.before.setup.model}", "".join(parts), style=way.STYLE, foot=foot)
