"""Batch norm in a deep net without skips, or on a batch too small for it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.record import Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, lost, operation_of, body, other_places, outcome, progress

# Values a channel is normalised over. With two, every output is ±1 whatever the input (Ioffe & Szegedy 2015, eq. for the
# batch variance); from 16 on the suite's nets train.
FEW_VALUES = 4

# bench/thresholds.py: batch norms on the trunk itself, and decades gained. Yang et al. 2019 derive a growth of about
# 1.21 per layer for ReLU; nets of 30 such layers still train, of 50 and more seldom.
DEEP = 40
DECADES_GAINED = 2.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the depth, or one for the batch."""
    if progress(trial) is Progress.LEARNS:
        return
    norms = [operation for operation in trace.operations if operation.name == "batch_norm"]
    small = [operation for operation in norms if _values(operation) <= FEW_VALUES]
    if small and trace.training:
        yield _small(trace, trial, small)
    on_trunk = {step.operation for step in body(trace)}
    plain = [operation for operation in norms if operation.index in on_trunk]
    gained = -lost(trace, trial)
    if len(plain) >= DEEP and gained >= DECADES_GAINED:
        yield _deep(trace, trial, plain, gained)


def _values(operation: Operation) -> int:
    shape = operation.output_shape
    return math.prod(shape) // shape[1] if len(shape) > 1 and shape[1] else 0


def _severity(trial: StepTest | None) -> Severity:
    return Severity.ERROR if progress(trial) in (Progress.BOUNCES, Progress.STALLED) else Severity.WARNING


def _small(trace: Trace, trial: StepTest | None, small: list[Operation]) -> Finding:
    return judged(
        "sg302_batch_norm_without_skip",
        _severity(trial),
        f"batch norm over {_values(small[0])} values a channel: its output says little of its input",
        location=small[0].location,
        module=small[0].module,
        label=f"normalises an output of shape {small[0].output_shape}",
        evidence=[evidence("values per channel", _values(small[0]), "values", "16 or more")],
        consequence=outcome(trial),
        cures=["a larger batch", "group norm or layer norm, which do not look at the batch"],
        count=len(small),
        also=other_places(small[0]),
        explains=("SG105", "SG106", "SG204"),
    )


def _deep(trace: Trace, trial: StepTest | None, plain: list[Operation], gained: float) -> Finding:
    return judged(
        "sg302_batch_norm_without_skip",
        _severity(trial),
        f"{len(plain)} batch norms in a row without a skip: the gradient gains {gained:.1f} decades",
        location=plain[0].location,
        module=plain[0].module,
        label=f"each multiplies the gradient by about {10 ** (gained / len(plain)):.2f}",
        evidence=[
            evidence("batch norms on the trunk", len(plain), "layers", f"under {DEEP}, or with skips"),
            evidence("decades gained on the trunk", gained, "decades", "under 2"),
        ],
        consequence=outcome(trial),
        cures=["a residual span around every two layers", "fewer layers"],
        count=len(plain),
        also=other_places(plain[0]),
        explains=("SG201", "SG204", "SG106", "SG301", "SG205"),
    )
