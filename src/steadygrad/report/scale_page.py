"""What grows with a model's width or depth as HTML, a whole page and for a notebook a fragment: a curve for each quantity.

May rely on the records and on the words of the text reports beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from steadygrad.numerals import count, number
from steadygrad.record.depth import DepthFinding, DepthRecord
from steadygrad.record.scale import ScaleFinding, ScaleRecord
from steadygrad.report import depth, svg, transfer
from steadygrad.report.fragment import CLASS, STYLE
from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.fragment import headline as first_line
from steadygrad.report.page import page, table

FEW = 8
"""Quantities that are all named below their curves."""

Growth = tuple[str, Sequence[float], bool]
"""The name of a quantity, its factor over the smallest size at each size, and whether it is off."""


def render(found: ScaleRecord | DepthRecord) -> str:
    """The page."""
    line = _outcome(found)
    head = f'<h1 class="{"healthy" if found.stable else "risk"}">{svg.safe(f"{found.target}: {line}")}</h1>'
    return page(f"{found.target}: {line}", f'{head}<div class="sg-report">{"".join(_parts(found))}</div>', style=STYLE)


def fragment(found: ScaleRecord | DepthRecord) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    head = first_line(_outcome(found), found.optimizer, kind="healthy" if found.stable else "at risk")
    return in_notebook([head, *_parts(found)])


def _outcome(found: ScaleRecord | DepthRecord) -> str:
    if found.stable:
        return f"nothing grows with {found.argument}"
    first, *more = dict.fromkeys(name for one in found.findings for name in one.weights) or ["the layers together"]
    others = f" and {count(len(more), 'other')}" if more else ""
    return f"{first}{others} not stable as {found.argument} grows"


def _parts(found: ScaleRecord | DepthRecord) -> Iterator[str]:
    if isinstance(found, ScaleRecord):
        updates = "the change of a weight's output by its own update"
        yield from _growth(_widths(found), found.sizes, found.argument, updates)
    else:
        yield from _growth(_depths(found), found.depths, found.argument, "each quantity of the layers")
    yield from map(_finding, found.findings)
    if found.transfer is not None:
        names = ("", "best rate", f"fall with ×{number(found.transfer.shared, 2)}")
        yield f"<h2>{svg.safe(transfer.outcome(found.transfer, found.argument))}</h2>"
        yield "<p>loss at each learning rate: large model in red as built, in green cured; the small one plain</p>"
        yield transfer.picture(found.transfer, found.argument)
        yield table(names, transfer.table(found.transfer, found.argument))


def _widths(found: ScaleRecord) -> Iterable[Growth]:
    off = {name for one in found.findings for name in one.weights}
    for one in found.weights:
        if one.role != "fixed" and not math.isnan(one.update.value):
            yield one.name, [value / one.update.at[0] for value in one.update.at], one.name in off


def _depths(found: DepthRecord) -> Iterable[Growth]:
    off = {one.kind for one in found.findings}
    patterns = {name for one in found.findings for name in one.weights}
    laws = [
        *((name, law, kind in off) for name, law, kind in depth.quantities(found)),
        *((f"update of {one.pattern}", one.update, one.pattern in patterns) for one in found.layers),
    ]
    for name, law, sick in laws:
        if law.kind != "none" and math.isfinite(law.at[0]):
            yield name, [10 ** min(300.0, value - law.at[0]) for value in law.at], sick


def _growth(growths: Iterable[Growth], sizes: Sequence[int], argument: str, of: str) -> Iterator[str]:
    """One curve a quantity, on a scale of doublings; those that are off are red and named in the table."""
    shown = [(name, [_doublings(one) for one in factors], sick) for name, factors, sick in growths]
    finite = [value for _, values, _ in shown for value in values if math.isfinite(value)]
    if not finite:
        return
    low, high = min(0.0, *finite), max(0.0, *finite)
    titles = [
        f"{argument} {size}: " + ", ".join(f"{name} ×{number(2 ** values[at], 2)}" for name, values, _ in shown)
        for at, size in enumerate(sizes)
    ]
    # Those that are off are drawn last, above the others.
    drawn = [svg.Curve(values, "bad" if sick else "") for _, values, sick in sorted(shown, key=lambda one: one[2])]
    yield f"<p><b>{svg.safe(of)}, as a multiple of that at {svg.safe(argument)} {sizes[0]}</b>, one curve each, red: off</p>"
    yield svg.curves(
        drawn,
        titles,
        labels=(f"×{number(2**high, 2)}", f"×{number(2**low, 2)}"),
        span=(low, high),
        ends=(f"{argument} {sizes[0]}", f"{argument} {sizes[-1]}"),
    )
    # All are under the pointer; those that are off, or the few that there are, stand in a table.
    listed = [one for one in shown if one[2]] if len(shown) > FEW else shown
    yield table(
        ("", f"{sizes[0]} to {sizes[-1]}", ""),
        ((name, f"×{number(2 ** values[-1], 2)}", "off" if sick else "") for name, values, sick in listed),
    )


def _doublings(factor: float) -> float:
    return math.log2(factor) if factor > 0 else -math.inf


def _finding(finding: ScaleFinding | DepthFinding) -> str:
    at = finding.location
    where = f"<p>{svg.safe(str(at))}</p><pre>{svg.safe(at.text)}</pre>" if at is not None and at.text else ""
    return (
        f'<section class="{CLASS[finding.severity.value]}"><p><b><span class="c">{finding.severity.value}'
        f"[{svg.safe(finding.kind)}]</span> {svg.safe(finding.message)}</b></p>{where}"
        f"<dl><dt>help</dt><dd>{svg.safe(finding.advice)}</dd></dl></section>"
    )
