"""A check as HTML without scripts, for light and dark: a whole page, and for a notebook a fragment.

Every string of the record is escaped here, where it enters. May rely on the record and on the words and the picture
of its neighbours; must not know of terminals, widths or colours, which it takes and passes over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad import numerals
from steadygrad.record import CheckRecord, Finding, Location
from steadygrad.report import svg, way, words
from steadygrad.report.colour import Color
from steadygrad.report.facts import facts
from steadygrad.report.headline import headline, next_step
from steadygrad.report.page import VERDICT_CLASS, page
from steadygrad.report.svg import safe as _safe

NAME = "html"

# The text takes the notebook's own colour; only the three severities bring one, legible on white and on black.
_STYLE = """
.sg-report{--e:#c9303e;--w:#a86500;--i:#2277aa;--h:#20854a;font:13px/1.5 system-ui,sans-serif;max-width:60rem}
@media(prefers-color-scheme:dark){.sg-report{--e:#ff7b85;--w:#f0b040;--i:#6cc0f0;--h:#5fd08a}}
[data-jp-theme-light=true] .sg-report{--e:#c9303e;--w:#a86500;--i:#2277aa;--h:#20854a}
[data-jp-theme-light=false] .sg-report{--e:#ff7b85;--w:#f0b040;--i:#6cc0f0;--h:#5fd08a}
.sg-report .e{--c:var(--e)}.sg-report .w{--c:var(--w)}.sg-report .i{--c:var(--i)}.sg-report .h{--c:var(--h)}
.sg-report section{border-left:3px solid var(--c);padding:0 0 0 .8em;margin:.8em 0}
.sg-report b{font-weight:600}.sg-report .c{color:var(--c)}.sg-report p{margin:.1em 0}
.sg-report pre{margin:.3em 0;padding:.4em .6em;overflow-x:auto;background:rgba(128,128,128,.12);color:inherit}
.sg-report mark{background:none;color:inherit;border-bottom:2px solid var(--c)}
.sg-report dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1em;margin:.4em 0}
.sg-report dt{opacity:.65}.sg-report dd{margin:0;overflow-wrap:anywhere}
"""

_CLASS = {"error": "e", "warning": "w", "info": "i", "healthy": "h", "at risk": "w", "will not train": "e"}


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
    body = f'{title}{then}<div class="sg-report">{_report(record, opened=verbose)}</div>'
    return page(f"{words.verdict(record)}: {record.setup.model}", body, style=_STYLE + way.STYLE)


def fragment(record: CheckRecord) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    style = f"<style>{_STYLE}{svg.STYLE}{way.STYLE}</style>"
    verdict = record.verdict
    head = (
        f'<p class="{_CLASS[verdict.value]}"><b class="c">{_safe(words.verdict(record))}</b> · '
        f"{_safe(words.tally(record))} · {_safe(words.price(record))}</p>"
    )
    return f'{style}<div class="sg-report">{head}{_report(record, opened=False)}</div>'


def _report(record: CheckRecord, *, opened: bool) -> str:
    parts = [*map(_finding, words.worst_first(record))]
    if record.trunk is not None:
        parts.append(way.way(record.trunk, record.findings))
    if record.trial is not None:
        parts.append(_losses(record.trial.losses))
    about = _definitions(facts(record))
    shown = " open" if opened else ""
    parts.append(f"<details{shown}><summary>what was examined, assumed and seen</summary>{about}</details>")
    return "".join(parts)


def _losses(losses: Sequence[float]) -> str:
    """The loss of the step test, a column a step."""
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(0.0, *finite), max(finite)
    titles = [f"step {step}: loss {numerals.number(value)}" for step, value in enumerate(losses)]
    labels = (numerals.number(high), numerals.number(low))
    ends = ("step 0", f"step {len(losses) - 1}")
    drawn = svg.curves([svg.Curve(losses)], titles, labels=labels, span=(low, high), ends=ends)
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
        f'<section class="{_CLASS[finding.severity.value]}">'
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
