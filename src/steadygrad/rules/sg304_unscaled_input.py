"""The input's scale drives the first layers out of their working range."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, other_places, outcome, percent, progress

# bench/thresholds.py: standard deviation or |mean| of the input. Healthy set-ups, also on raw digits (0 to 16): at most
# 8; set-ups seen to fail by it: 40 and more.
LARGE = 20.0

SATURATED = 0.5


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first operation that suffers from it."""
    mean, std = trace.input_mean, trace.input_std
    if mean is None or std is None or max(abs(mean), std) < LARGE or progress(trial) in (Progress.LEARNS, Progress.UNKNOWN):
        return
    first = _first_layer(trace)
    if first is None:
        return
    after = next((o for o in trace.operations[first.index :] if o.kind == "activation" and o.saturation is not None), None)
    share = after.saturation.saturated_share if after is not None and after.saturation is not None else 0.0
    yield judged(
        __name__,
        Severity.WARNING if progress(trial) is Progress.SLOW else Severity.ERROR,
        f"the input has standard deviation {std:.2g} around {mean:.2g}, where layers expect N(0, 1)",
        location=first.location,
        module=first.module,
        label=f"{percent(share)} of the units behind it are saturated" if share > SATURATED else "takes the input as it is",
        evidence=[
            evidence("standard deviation of the input", std, "absolute", "near 1"),
            evidence("mean of the input", mean, "absolute", "near 0"),
            evidence("saturated units of the first activation", share, "share", "under 0.5"),
        ],
        consequence=outcome(trial),
        cures=["standardising the input: (x - mean) / std of the training set", "batch norm as the first layer"],
        also=other_places(first),
        explains=("SG102", "SG103", "SG101", "SG201", "SG204", "SG205", "SG106", "SG105", "SG301"),
    )


def _first_layer(trace: Trace) -> Operation | None:
    """The first weighing layer, unless a normalisation comes before it."""
    for operation in trace.operations:
        if operation.kind == "normalisation":
            return None
        if operation.kind in ("linear", "recurrent"):
            return operation
    return None
