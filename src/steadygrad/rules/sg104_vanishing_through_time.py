"""A recurrence shrinks the gradient at every step back in time."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Recurrence, Severity, StepTest, Trace
from steadygrad.rules.grading import LEARNED, evidence, informed_fall, judged, outcome, sentence

# bench/thresholds.py: decades lost from the last step to the first. LSTM and GRU over 20 steps, which train, lose at most
# 4.5; recurrences that were seen to fail to remember lose 6 and more.
DECADES_LOST = 9.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the recurrence that loses most."""
    sick = [one for one in trace.recurrences if one.decades <= -DECADES_LOST]
    if not sick:
        return
    worst = min(sick, key=lambda one: one.decades)
    yield judged(
        __name__,
        _severity(trial),
        f"the gradient loses {-worst.decades_per_step:.2g} decades at each of {worst.steps} steps back in time",
        location=worst.location,
        module=worst.name,
        label=f"{-worst.decades:.1f} decades from the last step to the first",
        evidence=[
            evidence(
                "decades lost per step", -worst.decades_per_step, "decades", f"under {DECADES_LOST / worst.steps:.2g}"
            ),
            evidence("decades lost over the sequence", -worst.decades, "decades", "under 9"),
            evidence("steps", worst.steps, "steps", ""),
        ],
        consequence=sentence(f"what happened {_reach(worst)} steps ago moves no weight", outcome(trial)),
        cures=[
            "orthogonal or identity recurrence",
            "forget-gate bias 1, or chrono initialisation, for an LSTM",
            "a gated cell for a plain one",
            "truncating the sequence",
        ],
        count=len(sick),
        explains=("SG101", "SG102", "SG103", "SG105", "SG106", "SG301"),
    )


def _reach(recurrence: Recurrence) -> int:
    """Steps after which three decades are gone."""
    return max(1, min(recurrence.steps, round(3.0 / -recurrence.decades_per_step)))


def _severity(trial: StepTest | None) -> Severity:
    if trial is not None and informed_fall(trial) >= LEARNED:
        return Severity.WARNING
    return Severity.ERROR
