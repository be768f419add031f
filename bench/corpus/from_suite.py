"""The sick set-ups of the earlier suite and their twins, as rows: their own code, the table's law.

Their best known result is what the twin learned when the suite was trained (``suite/outcomes.jsonl``). The rules were
written on these cases, so all of them are calibration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

from bench.corpus import law
from bench.corpus.prepared import Prepared
from bench.corpus.row import Row, options
from bench.corpus.split import SUITE
from bench.suite import cases
from bench.suite.case import constant_loss, evaluate
from bench.train_suite import outcomes

MODEL = SUITE


@cache
def _best() -> dict[str, float]:
    """Share of the loss that each case's twin learned."""
    return {name: one.learned for (name, which), one in outcomes().items() if which == "twin"}


def rows() -> Iterator[Row]:
    for name, case in cases("sick").items():
        twin = Row(MODEL, case.family, options(case=name, which="twin"), optimizer="", rate=0.0)
        yield twin
        yield twin.broken(*case.causes, line=case.line or "", parameters={"which": "itself"})


def prepare(row: Row, seed: int) -> Prepared:
    """The case's own set-up. The order of its samples is the same for every seed, as the suite has it."""
    told = dict(row.parameters)
    case = cases("sick")[told["case"]]
    made = case.makes(told["which"])()
    before, constant = evaluate(made), constant_loss(made)
    reference = before if constant is None else min(before, constant)

    def score() -> float:
        after = evaluate(made)
        learned = (reference - after) / abs(reference) if math.isfinite(after) else law.DIVERGED
        return max(law.DIVERGED, learned / _best()[told["case"]])

    return Prepared(made, score, case.steps)
