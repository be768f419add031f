"""The cases as rows: their own code, the table's law.

A score is the share of the evaluation loss that training removed, in units of the best known (``Case.best``). The rules were
written on these cases, so all of them are calibration. A healthy one's row holds the one training that ``best`` is of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

from bench.corpus import law
from bench.corpus.case import Case, constant_loss, evaluate
from bench.corpus.cases import PARTS, cases
from bench.corpus.prepared import Prepared
from bench.corpus.row import Row, options
from bench.corpus.split import CASES

MODEL = CASES


def rows() -> Iterator[Row]:
    """A healthy case, or a twin and the sick case that is one change away from it."""
    for case in (case for part in PARTS for case in cases(part).values()):
        which = "twin" if case.causes else "itself"
        well = Row(MODEL, case.family, options(case=case.name, which=which), optimizer="", rate=0.0)
        yield well
        if case.causes:
            yield well.broken(*case.causes, line=case.line, parameters={"which": "itself"})


def case_of(row: Row) -> Case:
    name = dict(row.parameters)["case"]
    return next(found[name] for found in map(cases, PARTS) if name in found)


def prepare(row: Row, seed: int) -> Prepared:
    """The case's own set-up. The order of its samples is the same for every seed."""
    case = case_of(row)
    made = case.make(dict(row.parameters)["which"], seed=seed)

    @cache
    def reference() -> float:
        before, constant = evaluate(made), constant_loss(made)
        return before if constant is None else min(before, constant)

    def score() -> float:
        least = reference()
        after = evaluate(made)
        learned = (least - after) / abs(least) if math.isfinite(after) else law.DIVERGED
        return max(law.DIVERGED, learned / case.best)

    return Prepared(made, score, case.steps, best=case.best)
