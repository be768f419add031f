"""A proof as a whole HTML page: both learning curves, and where they end.

May rely on the record and on the words of the text report beside it.
"""

from __future__ import annotations

import math

from steadygrad import numerals
from steadygrad.record.proof import ProofRecord
from steadygrad.report import svg
from steadygrad.report.page import page, table
from steadygrad.report.profile import sample
from steadygrad.report.proof import comparison, outcome

COLUMNS = 200


def render(proof: ProofRecord) -> str:
    """The page."""
    verdict, line = outcome(proof)
    kind = "healthy" if proof.proven else "risk"
    parts = [f'<h1 class="{kind}">{svg.safe(line)}</h1>']
    if not proof.cure:
        parts.append(f"<p>{svg.safe(proof.words)}</p>")
    parts += [
        "<h2>loss: before in red, after in green</h2>",
        _curves(proof),
        table(("", "before", "after"), comparison(proof)),
    ]
    return page(f"{verdict}: {proof.cure or 'nothing was taken'}", "".join(parts))


def _curves(proof: ProofRecord) -> str:
    reached = max(len(proof.before.middle), len(proof.after.middle), 1)
    columns = min(reached, COLUMNS)
    arms = [
        sample([*arm.middle, *[math.nan] * (reached - len(arm.middle))], columns) for arm in (proof.before, proof.after)
    ]
    finite = [value for arm in arms for value in arm if math.isfinite(value)]
    high, low = max(finite, default=1.0), min(0.0, *finite, 0.0)
    titles = [
        f"step {column * reached // columns}: before {numerals.number(one)}, after {numerals.number(other)}"
        for column, (one, other) in enumerate(zip(*arms, strict=True))
    ]
    return svg.curves(
        [svg.Curve(arms[0], "bad"), svg.Curve(arms[1], "good")],
        titles,
        labels=(numerals.number(high), numerals.number(low)),
        span=(low, high),
        ends=("step 0", f"step {reached - 1}"),
    )
