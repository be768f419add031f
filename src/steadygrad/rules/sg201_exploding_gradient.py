"""The gradient grows by many decades on its way from the loss to the input."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, StepTest, Trace
from steadygrad.rules.grading import body, evidence, exploding, judged, lost, main_place, operation_of, other_places, outcome, sentence


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole trunk, at the place that adds most."""
    severity = exploding(trace, trial)
    if severity is None:
        return
    gained = -lost(trace, trial)
    at = main_place([step for step in body(trace) if step.decades > 0])
    first, here = at[0], sum(step.decades for step in at)
    yield judged(
        __name__,
        severity,
        f"the gradient gains {gained:.1f} decades on the trunk, from the loss to {trace.trunk.end if trace.trunk else ''}",
        location=first.location,
        module=first.module,
        label=f"adds {here:.1f} decades" + (f" in {len(at)} steps" if len(at) > 1 else ""),
        evidence=[
            evidence("decades gained on the trunk", gained, "decades", "under 4"),
            evidence("decades gained at this expression", here, "decades", "near 0"),
        ],
        consequence=sentence(_greatest_update(trace), outcome(trial)),
        cures=["branches scaled by 1/√blocks", "normalisation in each branch", "weights scaled so that each layer's gain is 1", "clipping bounds the update, it does not mend the product"],
        count=len(at),
        also=other_places(operation_of(trace, first)),
        explains=("SG204", "SG205", "SG105", "SG106"),
    )


def _greatest_update(trace: Trace) -> str:
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    if not moved:
        return ""
    most = max(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    return f"{most.name} moves by {most.update_ratio:.2g} of its size in the first step" if (most.update_ratio or 0) > 0.1 else ""
