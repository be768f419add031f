"""A verdict at another precision as text: a line for each operation, then what it does not bear, where, and what to do."""

from __future__ import annotations

import math

from rich.cells import cell_len

from steadygrad.numerals import count, number, one_decimal, percent
from steadygrad.record.precision import PRECISIONS, OperationRounding, PrecisionFinding, PrecisionRecord
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width, shorten
from steadygrad.report.snippet import excerpt

ROWS = 14
"""Operations in the table: those that stay higher, then those of the greatest harm."""

PLACES = 4
"""Lines of source of one finding; the others are named in the table."""


def render(found: PrecisionRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """Everything, ``width`` cells wide."""
    width, paint = resolve_width(width), Paint(wants_colour(color))
    head = f"{found.target} · {found.precision} ({PRECISIONS[found.precision]}) · {found.optimizer}, {count(found.steps, 'step')}"
    lines = [*(paint(line, "strong") for line in fill(head, width)), ""]
    lines += _table(found, width, paint)
    for finding in found.findings:
        lines += ["", *_finding(finding, width, paint)]
    lines += ["", *(paint(line, "strong") for line in fill(verdict(found), width))]
    if found.noise > found.tolerance:
        lines += fill(
            f"{percent(found.noise)} of the loss's fall lies between the net as it is and in {found.higher}, so as much may be "
            "missing; take a lower learning rate, or more steps, to tell less apart",
            width,
        )
    if found.weights == "rounded to nearest":
        lines += fill(f"weights may be stored in {found.precision} too, without a float32 copy", width)
    if found.unseen:
        lines += fill(f"left as they are: {', '.join(found.unseen)}", width)
    return "\n".join(lines)


def verdict(found: PrecisionRecord) -> str:
    """The outcome in one sentence."""
    last = found.trained[0]
    if found.as_it_is:
        return f"trains in {found.precision} as it is: {_missing(last.behind)} of the loss's fall in {found.higher} is missing"
    needs = [f"a loss scale of {number(found.loss_scale)}"] if found.loss_scale != 1.0 else []
    needs += [f"{count(len(found.kept), 'operation')} in {found.higher}"] if found.kept else []
    return f"trains in {found.precision} with {' and '.join(needs)}"


def _missing(behind: float) -> str:
    return "nothing" if behind < 5e-4 else percent(behind)


def _table(found: PrecisionRecord, width: int, paint: Paint) -> list[str]:
    ranked = sorted(found.operations, key=lambda one: (not one.kept, -one.harm))
    shown = set(map(id, ranked[:ROWS]))
    rows = [one for one in found.operations if id(one) in shown]
    named = [one.label for one in rows]
    longest = min(max(map(cell_len, [*named, "operation"])), width - 56)
    what = "rounding error" if width >= 80 else "error"
    lines = [
        paint(f"{'':<{longest}} {what + ' of':>19}{'':6}{'to':>8}{'too':>7}{'alone':>8}{'decades':>8}", "faint"),
        paint(f"{'operation':<{longest}} {'input':>7}{'weight':>8}{'gradient':>9}{'zero':>9}{'large':>7}", "faint"),
    ]
    for name, one in zip(named, rows, strict=True):
        lines.append(_row(shorten(name, longest), longest, one, paint))
    rest = ranked[ROWS:]
    if rest:
        most = max(one.harm for one in rest)
        lines.append(paint(f"and {count(len(rest), 'operation')} more, each alone at most {percent(most)}", "faint"))
    lines += [
        paint(line, "faint")
        for line in fill(
            "to zero, too large: greatest share of the three; alone: error of all gradients where it alone is rounded; "
            "decades: of its gradient where all are",
            width,
        )
    ]
    return lines


def _row(name: str, longest: int, one: OperationRounding, paint: Paint) -> str:
    operands = one.first, one.second, one.gradient
    errors = [_share(operand.error) for operand in operands]
    flushed, large = (max(getattr(operand, what) for operand in operands) for what in ("flushed", "saturated"))
    row = (
        f"{name}{'':<{longest - cell_len(name)}} {errors[0]:>7}{errors[1]:>8}{errors[2]:>9}{_share(flushed):>9}"
        f"{_share(large):>7}{_share(one.harm):>8}{_decades(one.decades):>8}"
    )
    return paint(f"{row}  keep", "error") if one.kept else row


def _share(value: float) -> str:
    return "-" if math.isnan(value) else "0" if value == 0 else percent(value) if value < 100 else number(value, 2)


def _decades(value: float) -> str:
    return "-" if math.isnan(value) else one_decimal(value)


def _finding(finding: PrecisionFinding, width: int, paint: Paint) -> list[str]:
    style = finding.severity.value
    lines = [paint(line, style) for line in fill(f"{style}[{finding.kind}]: {finding.message}", width)]
    for location in dict.fromkeys(finding.locations[:PLACES]):
        lines.append(f"  {paint('-->', 'gutter')} {location}")
        gutter = len(str(location.end_line)) + 1
        lines += excerpt(location, "", style=style, gutter=gutter, width=width, paint=paint)
    return [*lines, *(f"  {line}" for line in fill(f"= help: {finding.advice}", width - 2))]
