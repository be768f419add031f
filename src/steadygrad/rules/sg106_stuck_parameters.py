"""The optimizer hardly moves the parameters, or moves them without the loss following."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, escapes, evidence, judged, outcome, progress, sentence, slowest

# bench/thresholds.py: greatest update ratio of any weight matrix at the first step. Set-ups that train: 2e-4 or more;
# set-ups seen to be stuck by their rate alone: 1e-5 or less.
UPDATE = 3e-5


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model."""
    if trial is None or progress(trial) is not Progress.STALLED:
        return
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1 and p.optimized]
    if not moved:
        return
    greatest = max(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    ratio = greatest.update_ratio or 0.0
    tiny = ratio < UPDATE
    if not tiny and escapes(trace, trial):
        return
    yield judged(
        __name__,
        Severity.ERROR if tiny else Severity.WARNING,
        f"no weight moves by more than {ratio:.1g} of its size a step"
        if tiny
        else f"the weights move by up to {ratio:.1g} of their size a step, and the loss does not follow",
        location=None,
        module=greatest.name if tiny else "",
        evidence=[
            evidence("greatest update ratio", ratio, "ratio", "1e-4 to 1e-2"),
            evidence("fall of the loss", trial.fall, "relative", "over 0.02"),
        ],
        consequence=sentence(slowest(trace) if not tiny else "", outcome(trial)),
        cures=["a learning rate found by the step test", "Adam in place of SGD, because it is scale-free"]
        if tiny
        else ["a longer look: --trial 100", "a learning rate found by the step test"],
        count=len(moved),
    )
