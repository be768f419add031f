"""A search for a learning rate as text: each rate, how far the loss fell, a bar. A function of the record."""

from __future__ import annotations

import math

from steadygrad.numerals import percent
from steadygrad.record.rates import RateSearchRecord
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width


def render(found: RateSearchRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """The table and the curve, ``width`` cells wide."""
    width, paint = resolve_width(width), Paint(wants_colour(color))
    greatest = max((one.fall for one in found.tried), default=0.0)
    room = width - 44
    rows = [paint(f"{'rate':>9}  {'first loss':>10}  {'last loss':>10}  {'fall':>7}", "faint")]
    for one in found.tried:
        fell = one.fall
        words = "dropped" if one.dropped or not math.isfinite(fell) else percent(fell)
        bar = "█" * round(room * fell / greatest) if greatest > 0 and math.isfinite(fell) and fell > 0 else ""
        row = f"{one.rate:>9.2g}  {one.losses[0]:>10.4g}  {one.losses[-1]:>10.4g}  {words:>7}  "
        chosen = one.rate == found.rate
        rows.append(f"{paint(row, 'strong') if chosen else row}{paint(bar, 'curve')}".rstrip())
    rate = f"learning rate {found.rate:.2g}: " if found.rate is not None else ""
    return "\n".join([*rows, "", *(paint(row, "strong") for row in fill(f"{rate}{found.words}", width))])
