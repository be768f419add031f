"""Gradients or updates are too small for the number format that holds them."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, NonFinite, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, other_places, outcome, percent, progress

# bench/thresholds.py: share of gradient elements that float16 rounds to zero at the worst place of the trunk. Above a
# half, most of the signal is gone; float16 set-ups that train stay below 0.2.
UNDERFLOW = 0.5

# Half the spacing of numbers around 1: an update smaller than this share of a weight rounds back to the weight.
HALF_SPACING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for gradients, or one for updates, that the format swallows."""
    if progress(trial) is Progress.LEARNS:
        return
    stuck = progress(trial) in (Progress.STALLED, Progress.UNKNOWN)
    severity = Severity.ERROR if stuck else Severity.WARNING
    if trace.nonfinite is not None and trace.nonfinite.value == "zero":
        yield _forward(trace, trial, trace.nonfinite, severity)
        return
    if trace.underflow_share >= UNDERFLOW:
        operation = None if trace.underflow_operation is None else trace.operations[trace.underflow_operation]
        yield judged(
            __name__,
            severity,
            f"{percent(trace.underflow_share)} of the gradient's elements are too small for float16 and become zero",
            location=operation.location if operation is not None else None,
            module=operation.module if operation is not None else "",
            label="the gradient that arrives here is below 6e-8, the least that float16 holds",
            evidence=[evidence("elements rounded to zero", trace.underflow_share, "share", "under 0.2")],
            consequence=outcome(trial),
            cures=[
                "loss scaling (torch.amp.GradScaler)",
                "bfloat16, which has the range of float32",
                "float32 for the layers behind",
            ],
            also=other_places(operation),
            explains=("SG101", "SG106", "SG107", "SG105"),
        )
        return
    swallowed = [
        parameter
        for parameter in trace.parameters
        if parameter.dtype in HALF_SPACING
        and len(parameter.shape) > 1
        and parameter.update_ratio is not None
        and parameter.update_ratio < HALF_SPACING[parameter.dtype] / 4
    ]
    weights = [parameter for parameter in trace.parameters if parameter.requires_grad and len(parameter.shape) > 1]
    if trial is not None and stuck and swallowed and len(swallowed) >= 0.5 * len(weights):
        first = swallowed[0]
        yield judged(
            __name__,
            severity,
            f"updates of {first.update_ratio:.1g} of a weight are lost in {first.dtype}, "
            f"whose numbers are {2 * HALF_SPACING[first.dtype]:.1g} apart",
            location=first.location,
            module=first.name,
            evidence=[
                evidence("update ratio", first.update_ratio or 0.0, "ratio", f"over {HALF_SPACING[first.dtype]:.1g}"),
            ],
            consequence=outcome(trial),
            cures=["float32 master weights (autocast in place of model.half())", "a larger learning rate"],
            count=len(swallowed),
            explains=("SG106", "SG107"),
        )


def _forward(trace: Trace, trial: StepTest | None, found: NonFinite, severity: Severity) -> Finding:
    """The forward pass itself underflows: an operation whose every result is too small to be held."""
    operation = trace.operations[found.operation] if found.operation is not None else None
    dtype = operation.dtype if operation is not None else trace.dtype
    return judged(
        "sg108_underflow",
        severity,
        f"every result of {found.name} is too small for {dtype} and becomes zero, and its gradient with it",
        location=found.location,
        module=found.module,
        label="nothing but zeros comes out of this",
        evidence=[evidence("elements rounded to zero", 1.0, "share", "under 0.2")],
        consequence=outcome(trial),
        cures=["the same in logarithms: sums of logs in place of products, logsumexp", "a scale that keeps it near 1"],
        also=other_places(operation),
        explains=("SG101", "SG102", "SG105", "SG106", "SG107"),
    )
