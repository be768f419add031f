"""The optimizer hardly moves the parameters, or moves them without the loss following."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad.record import Finding, Location, Parameter, Severity, StepTest, Trace
from steadygrad.rules.grading import (
    Progress,
    evidence,
    judged,
    operation_of,
    outcome,
    percent,
    progress,
    sentence,
    slowest,
)

# bench/thresholds.py: greatest update ratio of any weight matrix at the first step. Set-ups that train: 2e-4 or more;
# set-ups seen to be stuck by their rate alone: 1e-5 or less.
UPDATE = 3e-5

# bench/thresholds.py: relative fall of the loss in ten steps, learned without the input or with it. Set-ups that train,
# though from a plateau: 0.0017 or more; those stuck by the scale of their targets or updates: 5e-5 or less.
FLAT = 5e-4

# Share of the elements that get a gradient and are held, yet do not move at all.
HELD_STILL = 0.3

# bench/thresholds.py: size of weight decay's part of the first update ÷ size of the gradient's part. Set-ups that train
# stay below 0.1.
DECAY = 1.0
DECAY_ALONE = 2.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model, or one for the part that stands still."""
    if trial is None:
        return
    yield from _decayed(trial)
    if progress(trial) is not Progress.STALLED:
        return
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1 and p.optimized]
    still = [p for p in moved if p.update_ratio == 0.0 and p.log10_gradient > -math.inf]
    share = sum(math.prod(p.shape) for p in still) / max(1, sum(math.prod(p.shape) for p in moved))
    if HELD_STILL <= share < 1:
        yield _held_still(trial, still, share)
    else:
        yield from _stuck(trace, trial, moved)


def _stuck(trace: Trace, trial: StepTest, moved: Sequence[Parameter]) -> Iterable[Finding]:
    if not moved:
        return
    greatest = max(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    ratio = greatest.update_ratio or 0.0
    tiny = ratio < UPDATE
    if not tiny and abs(trial.fall) >= FLAT:
        return
    yield judged(
        __name__,
        Severity.ERROR if tiny else Severity.WARNING,
        f"no weight moves by more than {ratio:.1g} of its size a step"
        if tiny
        else f"the weights move by up to {ratio:.1g} of their size a step, and the loss does not follow",
        location=_divided(trace) if tiny else None,
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


def _divided(trace: Trace) -> Location | None:
    """The expression of the loss that makes every gradient small, if one does."""
    steps = () if trace.trunk is None else trace.trunk.steps
    small = [step for step in steps if step.decades <= -2 and (step.cause in ("loss", "arithmetic"))]
    worst = min(small, key=lambda step: step.decades, default=None)
    operation = operation_of(trace, worst) if worst is not None else None
    return None if operation is None or operation.kind not in ("loss", "arithmetic") else operation.location


def _held_still(trial: StepTest, still: Sequence[Parameter], share: float) -> Finding:
    return judged(
        "sg106_stuck_parameters",
        Severity.WARNING,
        f"{len(still)} parameters ({percent(share)} of the matrices) get a gradient, but the optimizer does not move them",
        location=still[0].location,
        module=still[0].name,
        evidence=[evidence("elements that stand still", share, "share", "0")],
        consequence=outcome(trial),
        cures=["a learning rate above 0 for their parameter group"],
        count=len(still),
    )


def _decayed(trial: StepTest) -> Iterable[Finding]:
    """Weight decay outweighs the gradient: the weights shrink, whatever the loss says."""
    least = DECAY_ALONE if progress(trial) is Progress.LEARNS else DECAY
    if trial.decay < least:
        return
    yield judged(
        "sg106_stuck_parameters",
        Severity.WARNING,
        f"weight decay pulls the weights {trial.decay:.2g} times as hard as the gradient does",
        location=None,
        evidence=[
            evidence("weight decay's part of the first update ÷ the gradient's", trial.decay, "ratio", "under 0.1")
        ],
        consequence=outcome(trial),
        cures=[
            "a weight decay of 0.1 or less under AdamW, of 1e-4 under SGD",
            "decoupled decay (AdamW) in place of Adam's",
        ],
        explains=("SG105",),
    )
