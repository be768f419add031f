"""Every sample of the batch arrives at the same output."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import (
    SPREAD_FLOOR,
    Progress,
    escapes,
    evidence,
    judged,
    other_places,
    outcome,
    progress,
)

# bench/thresholds.py: spread of the model's output. Healthy architectures keep 1e-5 or more; set-ups seen to fail for
# want of it have 1e-8 or less.
SPREAD = 1e-7


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first operation after which the samples are no longer told apart."""
    spread = trace.output_spread
    if spread is None or progress(trial) is Progress.LEARNS:
        return
    if spread >= SPREAD:
        if (
            trial is not None
            and (trial.output_spread_after or 1.0) < SPREAD
            and progress(trial) is not Progress.BOUNCES
        ):
            yield _in_training(trial, spread, trial.output_spread_after or 0.0)
        return
    if escapes(trace, trial):
        return
    known = [o for o in trace.operations if o.output is not None and o.output.spread is not None]
    first = next(
        (o for o in known if (o.output.spread if o.output and o.output.spread is not None else 1.0) < SPREAD), None
    )
    severity = Severity.WARNING if progress(trial) is Progress.SLOW else Severity.ERROR
    yield judged(
        __name__,
        severity,
        f"all samples arrive at the same output: only {spread:.1g} of its energy differs between them",
        location=first.location if first is not None else None,
        module=first.module if first is not None else "",
        label="from here on the samples are alike" if first is not None else "",
        evidence=[evidence("spread of the output", spread, "share", "over 1e-5")],
        consequence=outcome(trial),
        cures=["a residual span", "batch norm", "initialisation on the critical line of the activation"],
        also=other_places(first),
        explains=("SG106",),
    )


def _in_training(trial: StepTest, before: float, after: float) -> Finding:
    """The first updates push all samples to the same output: what told them apart is drowned out."""
    gone = progress(trial) is Progress.STALLED and after < SPREAD_FLOOR
    return judged(
        "sg105_collapsed_representation",
        Severity.ERROR if gone else Severity.WARNING,
        f"{trial.steps} steps make all samples alike: {before:.1g} of the output's energy differed between them, now {after:.1g}",
        location=None,
        evidence=[
            evidence("spread of the output before the steps", before, "share", "over 1e-5"),
            evidence("spread of the output after them", after, "share", "no less"),
        ],
        consequence=outcome(trial),
        cures=[
            "a residual span",
            "a smaller learning rate, or warm-up",
            "less weight decay",
            "normalisation before each layer",
        ],
        explains=("SG106",),
    )
