"""Layer outputs are far from N(0, 1)."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, other_places, outcome, progress

# bench/thresholds.py: greatest standard deviation (or mean) of any layer's output. Healthy architectures: at most 60;
# set-ups seen to fail by scale alone: 300 and more.
LARGE = 200.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first layer whose output is too large."""
    if progress(trial) in (Progress.LEARNS, Progress.UNKNOWN):
        return
    sick = [
        operation
        for operation in trace.operations
        if operation.output is not None
        and operation.module_type
        and max(operation.output.std, abs(operation.output.mean)) > LARGE
    ]
    if not sick:
        return
    first = sick[0]
    assert first.output is not None
    yield judged(
        __name__,
        Severity.WARNING if progress(trial) is Progress.SLOW else Severity.ERROR,
        f"the output of {first.name} has standard deviation {first.output.std:.2g} around {first.output.mean:.2g}, far from N(0, 1)",
        location=first.location,
        module=first.module,
        label=f"first of {len(sick)} such outputs" if len(sick) > 1 else "",
        evidence=[
            evidence("standard deviation of the output", first.output.std, "absolute", "near 1"),
            evidence("mean of the output", first.output.mean, "absolute", "near 0"),
        ],
        consequence=outcome(trial),
        cures=["weights scaled by 1/√fan-in", "normalisation after it", "standardised input"],
        count=len(sick),
        also=other_places(first),
        explains=("SG204", "SG106", "SG105"),
    )
