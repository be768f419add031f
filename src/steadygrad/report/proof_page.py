"""A proof as HTML, a whole page and for a notebook a fragment: both learning curves, and where they end.

May rely on the record and on the words of the text report beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from steadygrad import numerals
from steadygrad.record.proof import ProofRecord
from steadygrad.report import svg
from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.fragment import headline
from steadygrad.report.page import page, table
from steadygrad.report.profile import sample
from steadygrad.report.proof import comparison, outcome

COLUMNS = 200


def render(proof: ProofRecord) -> str:
    """The page."""
    verdict, line = outcome(proof)
    head = f'<h1 class="{"healthy" if proof.proven else "risk"}">{svg.safe(line)}</h1>'
    return page(f"{verdict}: {proof.cure or 'nothing was taken'}", "".join((head, *_parts(proof))))


def fragment(proof: ProofRecord) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    verdict, line = outcome(proof)
    head = headline(verdict, line.removeprefix(f"{verdict}: "), kind="healthy" if proof.proven else "at risk")
    return in_notebook([head, *_parts(proof)])


def _parts(proof: ProofRecord) -> Iterator[str]:
    if not proof.cure:
        yield f"<p>{svg.safe(proof.words)}</p>"
    yield f"<h2>loss: before in red, after in green</h2>{_curves(proof)}"
    yield table(("", "before", "after"), comparison(proof))


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
