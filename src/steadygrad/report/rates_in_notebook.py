"""A search for a learning rate as HTML for a notebook: how far the loss fell at each rate, and the rate that was chosen.

May rely on the record and on the parts beside it.
"""

from __future__ import annotations

import math

from steadygrad import numerals
from steadygrad.record.rates import RateSearchRecord, RateTried
from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.fragment import headline
from steadygrad.report.svg import safe

STYLE = """
.sg-rates .bar{display:block;height:.7em;margin-top:.4em;background:currentColor;opacity:.4;min-width:1px}
.sg-rates .chosen .bar{background:var(--h);opacity:1}.sg-rates .chosen{font-weight:600}
.sg-rates .b{width:14rem;max-width:40vw}
"""


def fragment(found: RateSearchRecord) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    chosen = found.rate is not None
    strong = f"learning rate {found.rate:.2g}" if chosen else "no learning rate was found"
    head = headline(strong, found.words, f"{found.steps} steps at each", kind="healthy" if chosen else "will not train")
    greatest = max((one.fall for one in found.tried), default=0.0)
    names = ("rate", "first loss", "last loss", "fall", "")
    first = "".join(f'<th class="n">{safe(name)}</th>' for name in names)
    rows = "".join(_row(one, greatest, chosen=one.rate == found.rate) for one in found.tried)
    return in_notebook([head, f'<table class="sg-rates"><tr>{first}</tr>{rows}</table>'], style=STYLE)


def _row(one: RateTried, greatest: float, *, chosen: bool) -> str:
    fell = math.isfinite(one.fall)
    cells = (f"{one.rate:.2g}", *map(numerals.number, (one.losses[0], one.losses[-1])))
    cells = (*cells, numerals.percent(one.fall) if fell else "dropped")
    numbers = "".join(f'<td class="n">{safe(cell)}</td>' for cell in cells)
    share = max(0.0, one.fall / greatest) if fell and greatest > 0 else 0.0
    bar = f'<span class="bar" style="width:{100 * share:.0f}%"></span>' if share else ""
    kind = ' class="chosen"' if chosen else ""
    return f'<tr{kind}>{numbers}<td class="b">{bar}</td></tr>'
