"""A check over depth as text: a law for each quantity, the trainings, what is off and what to do. A function of the record."""

from __future__ import annotations

import math

from rich.cells import cell_len

from steadygrad.numerals import count, number, percent
from steadygrad.record.depth import DepthLimit, DepthRecord, Law
from steadygrad.report import transfer
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width
from steadygrad.report.scale import finding_lines


def render(found: DepthRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """Everything, ``width`` cells wide."""
    width, paint = resolve_width(width), Paint(wants_colour(color))
    depths = ", ".join(str(depth) for depth in found.depths)
    head = f"{found.target} · {found.argument} = {depths} · {found.optimizer}, {count(found.seeds, 'seed')}"
    lines = [*(paint(line, "strong") for line in fill(head, width)), ""]
    rows = [
        *((name, law) for name, law, _ in quantities(found)),
        *((f"update of {one.pattern}", one.update) for one in found.layers),
    ]
    longest = min(max(cell_len(name) for name, _ in rows), width - 42)
    over = f"{found.depths[0]} to {found.depths[-1]}"
    lines.append(paint(f"{'':<{longest}}  {'goes as':<30} {over:>9}", "faint"))
    for name, law in rows:
        shown = name if len(name) <= longest else "…" + name[-longest + 1 :]
        lines.append(f"{shown:<{longest}}  {_law(law, found.argument):<30} {_times(law):>9}")
    if found.limit is not None:
        lines += ["", *_limit(found.limit, found.argument, width)]
    for finding in found.findings:
        lines += ["", *finding_lines(finding, width, paint)]
    if found.transfer is not None:
        lines += ["", *transfer.text(found.transfer, found.argument, width, paint)]
    lines.append("")
    if found.stable:
        lines += fill(f"stable: nothing runs off with {found.argument}", width)
    elif found.residual:
        lines += fill(
            "try: --diff, the cure as a patch of your source; or --write cure.py, a module with initialise_ and groups, which "
            f"set the start and the rate of each branch for any {found.argument}; in Python found.initialise_(model, depth) and "
            "found.groups(model, depth, lr)",
            width,
        )
    return "\n".join(lines)


def quantities(found: DepthRecord) -> tuple[tuple[str, Law, str], ...]:
    """The quantities of the layers together: name, law, and the kind of the finding that would be about it."""
    return (
        ("what the layers make", found.activations, "activations"),
        ("gradient through the layers", found.gradient, "gradient"),
        ("difference between samples", found.spread, "spread"),
        ("change by all updates", found.change, "rate"),
    )


def _law(law: Law, argument: str) -> str:
    if law.kind == "none":
        return "-"
    error = "" if math.isnan(law.error) else f" ±{law.error:.2f}"
    value = f"{law.value:.2f}".replace("-", "−")
    return f"{argument}^{value}{error}" if law.kind == "power" else f"{value}{error} decades each"


def _times(law: Law) -> str:
    if math.isnan(law.decades):
        return "-"
    if abs(law.decades) > 6:
        return f"10^{law.decades:.0f}".replace("-", "−")
    return f"×{number(10**law.decades)}"


def _limit(limit: DepthLimit, argument: str, width: int) -> list[str]:
    each = ", ".join(f"{one.depth} {one.outcome} ({percent(one.fall)})" for one in limit.trainings)
    lines = fill(f"short trainings, {argument}: {each}", width)
    if limit.predicted is not None:
        least, most = limit.predicted
        upper = f" to {most:,.0f}" if math.isfinite(most) else " on"
        lines += fill(f"foretold to end from {least:,.0f}{upper}: {limit.why}", width)
    return lines
