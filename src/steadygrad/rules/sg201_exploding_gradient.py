"""The gradient grows by many decades on its way from the loss to the input."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, StepTest, Trace
from steadygrad.rules.grading import body, evidence, exploding, judged, lost, operation_of, other_places, outcome, sentence


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole trunk, at the place that adds most."""
    severity = exploding(trace, trial)
    if severity is None:
        return
    gained = -lost(trace, trial)
    places: dict[object, float] = {}
    for step in body(trace):
        places[step.location or step.module] = places.get(step.location or step.module, 0.0) + step.decades
    worst = max(places, key=lambda place: places[place])
    at = sorted((s for s in body(trace) if (s.location or s.module) == worst), key=lambda s: s.operation or 0)
    yield judged(
        __name__,
        severity,
        f"the gradient gains {gained:.1f} decades on the trunk, from the loss to {trace.trunk.end if trace.trunk else ''}",
        location=at[0].location,
        module=at[0].module,
        label=f"adds {places[worst]:.1f} decades" + (f" in {len(at)} steps" if len(at) > 1 else ""),
        evidence=[
            evidence("decades gained on the trunk", gained, "decades", "under 4"),
            evidence("decades gained at this expression", places[worst], "decades", "near 0"),
        ],
        consequence=sentence(_greatest_update(trace), outcome(trial)),
        cures=["branches scaled by 1/√blocks", "normalisation in each branch", "weights scaled so that each layer's gain is 1", "clipping bounds the update, it does not mend the product"],
        count=len(at),
        also=other_places(operation_of(trace, at[0])),
        explains=("SG204", "SG205", "SG105", "SG106"),
    )


def _greatest_update(trace: Trace) -> str:
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    if not moved:
        return ""
    most = max(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    return f"{most.name} moves by {most.update_ratio:.2g} of its size in the first step" if (most.update_ratio or 0) > 0.1 else ""
