"""A coordinate check as text: a line for each weight, then what is off, where, and what to do. A function of the record."""

from __future__ import annotations

import math

from rich.cells import cell_len

from steadygrad.numerals import count
from steadygrad.record.depth import DepthFinding
from steadygrad.record.scale import Exponent, ScaleFinding, ScaleRecord
from steadygrad.report import transfer
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width
from steadygrad.report.snippet import excerpt


def render(found: ScaleRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """Everything, ``width`` cells wide."""
    width, paint = resolve_width(width), Paint(wants_colour(color))
    sizes = ", ".join(str(size) for size in found.sizes)
    taken = f"{count(found.steps, 'step')}, {count(found.seeds, 'seed')}"
    head = f"{found.target} · {found.argument} = {sizes} · {found.optimizer}, {taken}"
    lines = [*(paint(line, "strong") for line in fill(head, width)), ""]
    lines += fill(
        f"how each grows: 0 = the same at every {found.argument}, 1 = doubles where {found.argument} doubles", width
    )
    off = {name: one for one in reversed(found.findings) for name in one.weights}
    shown = [one for one in found.weights if one.role in ("input", "hidden", "output") or one.name in off]
    longest = min(max((cell_len(one.name) for one in shown), default=len("weight")), width - 44)
    lines.append(paint(f"{'weight':<{longest}}  {'role':<7} {'output':>14} {'its update':>14}", "faint"))
    for one in shown:
        name = one.name if len(one.name) <= longest else "…" + one.name[-longest + 1 :]
        row = f"{name:<{longest}}  {one.role:<7} {_shown(one.output):>14} {_shown(one.update):>14}"
        lines.append(paint(row, off[one.name].severity.value) if one.name in off else row)
    if rest := len(found.weights) - len(shown):
        lines.append(paint(f"and {rest} more, biases, gains and weights that do not grow: stable", "faint"))
    if found.computed:
        names = f"{found.computed[0]} and {len(found.computed) - 1} more" if found.computed[1:] else found.computed[0]
        said = f"not judged: {names}; a layer's weight is computed from them, as by weight norm or spectral norm"
        lines += [paint(line, "warning") for line in fill(said, width)]
    for finding in found.findings:
        lines += ["", *finding_lines(finding, width, paint)]
    if found.transfer is not None:
        lines += ["", *transfer.text(found.transfer, found.argument, width, paint)]
    lines.append("")
    if found.stable:
        judged = ", of what was judged" if found.computed else ""
        lines += fill(f"stable: nothing grows with {found.argument}{judged}", width)
    else:
        lines += fill(
            "try: --diff, the cure as a patch of your source; or --write cure.py, a module with initialise_ and groups, which "
            f"set the start and the rate of each weight for any {found.argument}; in Python found.initialise_(model, size) and "
            "found.groups(model, size, lr)",
            width,
        )
    return "\n".join(lines)


def _shown(one: Exponent) -> str:
    if math.isnan(one.value):
        return "-"
    error = "" if math.isnan(one.error) else f" ±{one.error:.2f}"
    return f"{one.value:.2f}".replace("-", "−") + error


def finding_lines(finding: ScaleFinding | DepthFinding, width: int, paint: Paint) -> list[str]:
    """A finding with its expression, and what to do."""
    style = finding.severity.value
    head = fill(f"{style}[{finding.kind}]: {finding.message}", width)
    lines = [paint(line, style) for line in head]
    if finding.location is not None:
        lines.append(f"  {paint('-->', 'gutter')} {finding.location}")
        gutter = len(str(finding.location.end_line)) + 1
        lines += excerpt(finding.location, "", style=style, gutter=gutter, width=width, paint=paint)
    help_ = [f"  {line}" for line in fill(f"= help: {finding.advice}", width - 2)]
    return [*lines, *help_]
