"""A recurrence multiplies the gradient at every step back in time."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, outcome, progress

# bench/thresholds.py: decades gained from the last step to the first. Recurrences that train gain at most 1; those that
# were seen to diverge gain 4 and more.
DECADES_GAINED = 4.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the recurrence that gains most."""
    sick = [one for one in trace.recurrences if one.decades >= DECADES_GAINED]
    if not sick or progress(trial) is Progress.LEARNS:
        return
    worst = max(sick, key=lambda one: one.decades)
    yield judged(
        __name__,
        Severity.WARNING if progress(trial) is Progress.SLOW else Severity.ERROR,
        f"the gradient grows {10**worst.decades_per_step:.2g}-fold at each of {worst.steps} steps back in time",
        location=worst.location,
        module=worst.name,
        label=f"{worst.decades:.1f} decades from the last step to the first",
        evidence=[
            evidence("decades gained per step", worst.decades_per_step, "decades", f"under {DECADES_GAINED / worst.steps:.2g}"),
            evidence("decades gained over the sequence", worst.decades, "decades", "under 4"),
        ],
        consequence=outcome(trial),
        cures=["orthogonal recurrence", "recurrent weights divided by their spectral norm", "clipping by norm bounds the update, it does not mend the product"],
        count=len(sick),
        explains=("SG102", "SG201", "SG204", "SG205", "SG301", "SG106", "SG105"),
    )
