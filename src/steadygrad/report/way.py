"""The gradient's way through the model as HTML: its size from the loss to the input, what each step takes, whose line it is.

May rely on a trunk and on the SVG beside it; judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from steadygrad import numerals
from steadygrad.record import Finding, Location, Step, Trunk
from steadygrad.report import svg, words
from steadygrad.report.profile import caption, levels, span

STYLE = """
.sg-way{border-collapse:collapse;width:100%;table-layout:auto}.sg-way td{padding:.15em .5em .15em 0;vertical-align:top}
.sg-way td.n{text-align:right;white-space:nowrap}.sg-way code{overflow-wrap:anywhere}
.sg-way .bar{display:block;height:.7em;margin-top:.4em;background:currentColor;opacity:.4;min-width:1px}
.sg-way .blamed{background:var(--e);opacity:1}
.sg-way td.b{width:22%;min-width:4rem}.sg-way td.n{width:1%}.sg-way small{opacity:.7;display:block}
"""

COLUMNS = 80
"""Of the picture; of more steps several share a column."""

LINES = 8
"""Source lines named, those that take most."""

LEAST = 0.05
"""Decades; a line that takes less is not named."""


def way(trunk: Trunk, findings: Iterable[Finding]) -> str:
    """The picture, and the lines of source beside it; what the findings mark is red."""
    marked = {place for one in findings for place in (one.location, *one.also) if place is not None}
    if not trunk.steps:
        return f"<p>{svg.safe(caption(trunk))}</p>"
    values = levels(trunk)
    low, high = span(values)
    size = len(trunk.steps)
    count = min(size, COLUMNS)
    bounds = [column * size // count for column in range(count + 1)]
    shares = [trunk.steps[a:b] for a, b in pairwise(bounds)]
    behind = [values[b] for b in bounds[1:]]
    titles = [_title(steps, value) for steps, value in zip(shares, behind, strict=True)]
    ends = ("loss", words.clean(trunk.end))
    curve = svg.curves(
        [svg.Curve(behind)],
        titles,
        labels=(numerals.power_of_ten(round(high)), numerals.power_of_ten(round(low))),
        span=(low, high),
    )
    taken = svg.bars(
        [sum(step.decades for step in steps) for steps in shares],
        titles,
        [any(step.location in marked for step in steps) for steps in shares],
        ends=ends,
    )
    return (
        f"<p><b>{svg.safe(caption(trunk))}</b></p><p><small>gradient norm behind each step</small></p>{curve}"
        f"<p><small>decades that each step loses or gains</small></p>{taken}{_lines(trunk.steps, marked)}"
    )


def _title(steps: Sequence[Step], behind: float) -> str:
    worst = min(steps, key=lambda step: step.decades if not math.isnan(step.decades) else 0.0)
    change = numerals.decades(sum(step.decades for step in steps))
    where = f" at {_place(worst)}" if worst.location else ""
    among = f"{numerals.count(len(steps), 'step')}, most in " if len(steps) > 1 else ""
    size = "0" if behind == -math.inf else f"1e{behind:+.1f}"
    return f"{among}{worst.name or worst.cause}{f' of {worst.module}' if worst.module else ''}{where}: {change}; norm {size}"


def _place(step: Step) -> str:
    return words.shown_place(step.location, column=False) if step.location else step.module or "model"


def _lines(steps: Sequence[Step], marked: Collection[Location]) -> str:
    """A row for each expression, those that lose most first."""
    together: dict[tuple[str, str], list[Step]] = {}
    for step in steps:
        text = step.location.text if step.location else step.name or step.cause
        together.setdefault((_place(step), text), []).append(step)
    sums = {key: sum(step.decades for step in members) for key, members in together.items()}
    shown = sorted((key for key in sums if not abs(sums[key]) < LEAST), key=lambda key: sums[key])[:LINES]
    most = max((abs(sums[key]) for key in shown if math.isfinite(sums[key])), default=1.0)
    rows = ""
    for key in shown:
        value, members = sums[key], together[key]
        width = 100 * min(1.0, abs(value) / most) if math.isfinite(value) else 100.0
        more = f" · {numerals.count(len(members), 'step')}" if len(members) > 1 else ""
        kind = "bar blamed" if members[0].location in marked else "bar"
        rows += (
            f'<tr><td class="b"><span class="{kind}" style="width:{width:.0f}%"></span></td>'
            f'<td class="n">{svg.safe(numerals.decades(value))}</td>'
            f"<td><code>{svg.safe(' '.join(key[1].split()))}</code>"
            f"<small>{svg.safe(key[0] + more)}</small></td></tr>"
        )
    return f'<table class="sg-way">{rows}</table>' if rows else ""
