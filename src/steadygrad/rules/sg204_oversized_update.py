"""The first updates are so large that the loss bounces or diverges."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, outcome, progress

# bench/thresholds.py: greatest rise of the loss in one of ten steps, relative to the first loss, where the set-up trains
# all the same: at most 0.6; where the rate was too high: 0.9 and more.
RISE = 0.8


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model."""
    if trial is None or not (progress(trial) is Progress.BOUNCES or trial.greatest_rise > RISE):
        return
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    most = max(moved, key=lambda parameter: parameter.update_ratio or 0.0, default=None)
    ratio = most.update_ratio if most is not None and most.update_ratio is not None else 0.0
    lasting = trial.diverged or trial.fall < 0.1
    yield judged(
        __name__,
        Severity.ERROR if lasting else Severity.WARNING,
        f"updates are too large: the loss {'stops being finite' if trial.diverged else f'rises by {trial.greatest_rise:.2g} of itself in one step'}",
        location=None,
        module=most.name if most is not None else "",
        evidence=[
            evidence("greatest update ratio in the first step", ratio, "ratio", "1e-4 to 1e-2"),
            evidence("greatest rise of the loss in one step", trial.greatest_rise, "relative", "under 0.6"),
            evidence("fall of the loss predicted for the first step", trial.predicted_first, "relative", "like the actual one"),
            evidence("fall of the loss in the first step", trial.actual_first, "relative", "like the predicted one"),
        ],
        consequence=outcome(trial),
        cures=["a learning rate found by the step test", "clipping by global norm, if it happens only now and then", "warm-up"],
        explains=("SG106", "SG105"),
    )
