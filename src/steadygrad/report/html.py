"""The notebook representation: one self-contained fragment, without scripts, for light and dark themes.

Every string of the record is escaped here, where it enters. May rely on the record and on the words and the picture
of its neighbours; must not know of terminals, widths or colours, which it takes and passes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from steadygrad.record import CheckRecord, Finding, Location, Trunk
from steadygrad.report import words
from steadygrad.report.colour import Color
from steadygrad.report.facts import facts
from steadygrad.report.profile import caption, levels, sample, span

NAME = "html"

# The text takes the notebook's own colour; only the three severities bring one, legible on white and on black.
_STYLE = """<style>
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
.sg-report dt{opacity:.65}.sg-report dd{margin:0}.sg-report svg{width:100%;max-width:40rem}
.sg-report svg text{font-size:11px;fill:currentColor;opacity:.65}
</style>"""

_CLASS = {"error": "e", "warning": "w", "info": "i", "healthy": "h", "at risk": "w", "will not train": "e"}

_POINTS = 200
_WIDTH, _HEIGHT, _MARGIN = 600, 100, 44


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """An HTML fragment for ``_repr_html_``."""
    verdict = record.verdict
    head = (
        f'<p class="{_CLASS[verdict.value]}"><b class="c">{_safe(words.verdict(record))}</b> · '
        f"{_safe(words.tally(record))} · {_safe(words.price(record))}</p>"
    )
    parts = [_STYLE, head, *map(_finding, words.worst_first(record))]
    if record.trunk is not None:
        parts.append(_picture(record.trunk))
    about = _definitions(facts(record))
    parts.append(f"<details><summary>what was examined, assumed and seen</summary>{about}</details>")
    return f'<div class="sg-report">{"".join(parts)}</div>'


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
    return f"<pre>{_safe_lines(before)}<mark>{_safe_lines(at.text)}</mark>{_safe_lines(after)}</pre>"


def _picture(trunk: Trunk) -> str:
    values = levels(trunk)
    low, high = span(values)
    drawn = sample(values, min(len(values), _POINTS))
    step = (_WIDTH - _MARGIN) / max(len(drawn) - 1, 1)
    # A gradient of exactly zero (or no number at all) ends the line.
    points = " ".join(
        f"{_MARGIN + column * step:.1f},{_HEIGHT * (high - value) / (high - low):.1f}"
        for column, value in enumerate(drawn)
        if low <= value <= high
    )
    labels = "".join(
        f'<text x="0" y="{y}">1e{round(value):+03d}</text>'
        for y, value in ((10, high), (54, (low + high) / 2), (98, low))
    )
    return (
        f'<p>{_safe(caption(trunk))}</p><svg viewBox="0 -4 {_WIDTH} {_HEIGHT + 8}" role="img">'
        f'{labels}<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"/></svg>'
    )


def _definitions(items: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{_safe(name)}</dt><dd>{_safe(text)}</dd>" for name, text in items if text)
    return f"<dl>{rows}</dl>" if rows else ""


def _safe(text: str) -> str:
    return escape(words.clean(text))


def _safe_lines(text: str) -> str:
    return "\n".join(_safe(line.replace("\t", "    ")) for line in text.split("\n"))
