"""Curves and bars as SVG that grows with its column, and shows its numbers under the pointer; no script.

Labels are HTML beside the picture, so that they keep their size on a narrow screen. May rely on ``words`` for what is
safe to show; must not know what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from steadygrad.report import words

STYLE = """
.sg-plot{display:grid;grid-template-columns:3.6em 1fr;gap:0 .5em;margin:.3em 0}
.sg-plot .y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;font-size:11px;opacity:.7}
.sg-plot svg{display:block;width:100%;height:8rem;overflow:visible;border-bottom:1px solid rgba(128,128,128,.5)}
.sg-plot svg.low{height:4rem}.sg-plot .x{grid-column:2;display:flex;justify-content:space-between;font-size:11px;opacity:.7}
.sg-plot polyline{fill:none;stroke:currentColor;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.sg-plot polyline.second{stroke:var(--i)}.sg-plot polyline.bad{stroke:var(--e)}.sg-plot polyline.good{stroke:var(--h)}
.sg-plot .bar{fill:currentColor;opacity:.4}.sg-plot .blamed{fill:var(--e)}.sg-plot .hit{fill:transparent}
.sg-plot .hit:hover{fill:rgba(128,128,128,.3)}.sg-plot .gone{fill:var(--e);opacity:.25}
.sg-plot .mark{stroke:var(--e);stroke-width:2;vector-effect:non-scaling-stroke;stroke-dasharray:4 3}
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: a value a column; NaN breaks it. ``kind`` is a class of the style: "", second, bad, good."""

    values: Sequence[float]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a column, with words under the pointer."""

    column: float
    text: str


def curves(
    lines: Sequence[Curve],
    titles: Sequence[str],
    *,
    labels: tuple[str, str],
    span: tuple[float, float],
    ends: tuple[str, str] = ("", ""),
    marks: Iterable[Mark] = (),
) -> str:
    """Lines over columns of equal width; ``labels`` stand at the top and the bottom, ``ends`` left and right."""
    low, high = span
    size = max(high - low, 1e-300)
    parts = []
    for line in lines:
        for run in _unbroken(line.values):
            points = " ".join(f"{x + 0.5:g},{100 * (high - value) / size:.1f}" for x, value in run)
            kind = f' class="{line.kind}"' if line.kind else ""
            parts.append(f'<polyline{kind} points="{points}"/>')
    for x, value in enumerate(lines[0].values if lines else ()):
        if value == -math.inf:
            parts.append(f'<rect class="gone" x="{x}" y="0" width="1" height="100"/>')
    parts += _hits(titles)
    for mark in marks:
        at = f"{mark.column + 0.5:g}"
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="0" y2="100"><title>{safe(mark.text)}</title></line>')
    return _framed("".join(parts), len(titles), labels, ends, "")


def bars(
    values: Sequence[float], titles: Sequence[str], blamed: Sequence[bool], *, ends: tuple[str, str] = ("", "")
) -> str:
    """A bar a column: what is lost hangs down, what is gained stands up, on one scale; those blamed are red."""
    deepest = -min([value for value in values if math.isfinite(value)] + [0.0])
    highest = max([value for value in values if math.isfinite(value)] + [0.0])
    whole = deepest + highest or 1.0
    zero = 100 * highest / whole
    parts = []
    for x, value in enumerate(values):
        size = min(100 * abs(value) / whole, 100.0) if math.isfinite(value) else 100.0
        kind = "blamed" if blamed[x] else "bar"
        top = zero if value < 0 else zero - size
        if not math.isfinite(value):
            kind, top = "gone", 0.0
        if size >= 0.1:
            parts.append(f'<rect class="{kind}" x="{x + 0.1:g}" y="{top:.1f}" width=".8" height="{size:.1f}"/>')
    parts += _hits(titles)
    labels = (f"+{highest:.2g}" if highest else "0", f"−{deepest:.2g}" if deepest else "0")
    return _framed("".join(parts), len(titles), labels, ends, "low")


def _hits(titles: Sequence[str]) -> list[str]:
    return [
        f'<rect class="hit" x="{x}" y="0" width="1" height="100"><title>{safe(text)}</title></rect>'
        for x, text in enumerate(titles)
    ]


def _framed(drawn: str, columns: int, labels: tuple[str, str], ends: tuple[str, str], kind: str) -> str:
    below = f'<div class="x"><span>{safe(ends[0])}</span><span>{safe(ends[1])}</span></div>' if any(ends) else ""
    return (
        f'<div class="sg-plot"><div class="y"><span>{safe(labels[0])}</span><span>{safe(labels[1])}</span></div>'
        f'<svg class="{kind}" viewBox="0 0 {max(columns, 1)} 100" preserveAspectRatio="none" role="img">{drawn}</svg>'
        f"{below}</div>"
    )


def _unbroken(values: Sequence[float]) -> Iterator[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for x, value in enumerate(values):
        if math.isfinite(value):
            run.append((x, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def safe(text: str) -> str:
    """The user's or our own words as text of HTML."""
    return escape(words.clean(text))
