"""Softmax or sigmoid is fed to a loss that applies it again."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, other_places, outcome, progress

_AGAIN = {
    "cross_entropy": ("softmax", "sigmoid"),
    "log_softmax": ("softmax", "sigmoid"),
    "binary_cross_entropy_with_logits": ("sigmoid", "softmax"),
    "softmax": ("softmax",),
}
"""What a loss applies by itself, so that the model must not."""

# Share of saturated units of an output sigmoid under MSE at which its flat ends, not the error, set the gradient.
SATURATED = 0.5


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the squash to be taken out."""
    for loss in trace.operations:
        squash = _source(trace, loss)
        if squash is None:
            continue
        name = squash.name
        if name in _AGAIN.get(loss.name, ()) and _is_output(trace, loss):
            yield _found(trace, trial, squash, f"{loss.name} applies {'softmax' if 'cross' in loss.name or 'soft' in loss.name else 'sigmoid'} itself")
            return
        saturated = squash.saturation is not None and squash.saturation.saturated_share > SATURATED
        if loss.name == "mse_loss" and name == "sigmoid" and saturated and progress(trial) is not Progress.LEARNS:
            yield _found(trace, trial, squash, "under MSE its derivative multiplies the error")
            return


def _is_output(trace: Trace, loss: Operation) -> bool:
    """A softmax inside the model feeds attention, not a loss: only what the loss is made of counts."""
    return loss.kind == "loss" or loss.name == "softmax" and loss.index >= len(trace.operations) - 4 and len(loss.output_shape) < 3


def _source(trace: Trace, operation: Operation) -> Operation | None:
    """The operation whose output it takes, past views."""
    while operation.parents:
        parent = trace.operations[operation.parents[0]]
        if parent.kind != "shape":
            return parent
        operation = parent
    return None


def _found(trace: Trace, trial: StepTest | None, squash: Operation, why: str) -> Finding:
    name = squash.name
    stuck = progress(trial) in (Progress.STALLED, Progress.BOUNCES)
    output = squash.output
    return judged(
        "sg303_double_squash",
        Severity.ERROR if stuck else Severity.WARNING,
        f"{name} is applied to what the loss squashes again: {why}",
        location=squash.location,
        module=squash.module,
        label="hand the loss the logits",
        evidence=[
            evidence("standard deviation of what the loss gets", output.std if output else float("nan"), "absolute", "near 1, as logits have"),
            evidence("fall of the loss", trial.fall if trial else float("nan"), "relative", "over 0.02"),
        ],
        consequence=outcome(trial),
        cures=[f"leaving {name} out of the model; applying it when predicting", "log_softmax with nll_loss"],
        also=other_places(squash),
        explains=("SG102", "SG106", "SG105", "SG101"),
    )
