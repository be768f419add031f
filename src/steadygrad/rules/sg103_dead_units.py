"""Units of a ReLU-like activation are inactive on the whole batch."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import (
    Progress,
    body,
    evidence,
    judged,
    other_places,
    outcome,
    percent,
    progress,
)

RECTIFYING = frozenset(
    [
        "relu",
        "relu6",
        "threshold",
        "hardswish",
        "hardshrink",
        "softshrink",
        "clamp",
        "clip",
        "clamp_min",
        "selu",
        "elu",
        "gelu",
        "silu",
        "leaky_relu",
    ]
)

# bench/thresholds.py: greatest share of dead units in one layer. He-initialised ReLU nets of depth 30 reach 0.6 while
# they train; sick nets whose units died have a layer at 0.9 or more.
DEAD = 0.85


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first layer whose units are dead."""
    if progress(trial) is Progress.LEARNS:
        return
    norms = {parameter.name: parameter.norm for parameter in trace.parameters}
    zero = {step.operation for step in body(trace) if step.decades == -math.inf}
    dead = []
    for operation in trace.operations:
        if operation.kind != "activation" or operation.name not in RECTIFYING:
            continue
        feeding = [trace.operations[parent] for parent in operation.parents]
        if any(norms.get(parent.weight) == 0.0 for parent in feeding):
            continue
        share = operation.saturation.dead_share if operation.saturation is not None else 0.0
        if share >= DEAD or operation.index in zero:
            dead.append((operation, 1.0 if operation.index in zero else share))
    if not dead:
        return
    first, share = dead[0]
    blocked = first.index in zero
    saturation = first.saturation
    proof = [evidence("dead units", share, "share", "under 0.6")]
    if saturation is not None:
        proof += [
            evidence("mean of its inputs", saturation.input_mean, "absolute", "near 0"),
            evidence("standard deviation of its inputs", saturation.input_std, "absolute", "near 1"),
        ]
    yield judged(
        __name__,
        Severity.ERROR if blocked or progress(trial) in (Progress.STALLED, Progress.BOUNCES) else Severity.WARNING,
        f"{percent(share)} of the units of {first.name.rstrip('_')} are inactive on the whole batch",
        location=first.location,
        module=first.module,
        label="passes no gradient at all" if blocked else "these units get no gradient and cannot recover",
        evidence=proof,
        consequence=outcome(trial),
        cures=[
            "biases set so that half of the units are active",
            "Leaky ReLU or ELU, which never cut the gradient off",
            "a smaller learning rate",
            "normalisation before it",
        ],
        count=len(dead),
        also=other_places(first),
        explains=("SG101", "SG105", "SG106", "SG301"),
    )
