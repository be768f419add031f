"""The gradient shrinks by many decades on its way from the loss to the input."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.record import Finding, StepTest, Trace
from steadygrad.rules.grading import (
    body,
    evidence,
    judged,
    lost,
    main_place,
    operation_of,
    other_places,
    outcome,
    percent,
    sentence,
    slowest,
    vanishing,
)


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole trunk, at the place that takes most."""
    severity = vanishing(trace, trial)
    if severity is None:
        return
    decades = lost(trace, trial)
    at = main_place([step for step in body(trace) if step.decades < 0])
    first, here = at[0], sum(step.decades for step in at)
    share = here / -decades if math.isfinite(decades) else 1.0
    zero = math.isinf(decades)
    yield judged(
        __name__,
        severity,
        "no gradient at all reaches the input: it becomes exactly zero on the trunk"
        if zero
        else f"the gradient loses {decades:.1f} decades on the trunk, from the loss to {trace.trunk.end if trace.trunk else ''}",
        location=first.location,
        module=first.module,
        label="makes it zero" if zero else f"takes {-here:.1f} of the {decades:.1f} decades lost ({percent(share)})",
        evidence=[
            evidence("decades lost on the trunk", decades, "decades", "under 4"),
            evidence("decades lost at this expression", -here, "decades", "near 0"),
        ],
        consequence=sentence(slowest(trace), outcome(trial)),
        cures=[
            "a residual span around the layers that shrink it",
            "normalisation between them",
            "weights scaled so that each layer's gain is 1",
        ],
        count=len(at),
        also=other_places(operation_of(trace, first)),
        explains=("SG105", "SG106"),
    )
