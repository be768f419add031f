"""DeepDiagnosis' symptoms: numerical errors, saturated and dead units, vanishing gradients, a loss that stands still.

Its callback looks once an epoch; here every step of the short run stands for one, and what it asks of five epochs is asked
of five steps. Its advice (what to change) isn't judged.
"""

from __future__ import annotations

import math

from torch import Tensor

from bench.peers.watch import Subject

NAME = "deepdiagnosis"
REFERENCE = "Wardat et al., ICSE 2022; github.com/DeepDiagnosis/ICSE2022, callback/callbacks.py, mapFaluireToFix"
COST = "30 training steps, every gradient and two passes of activations read"

# identifyVanishingGradient, identifyDead, identifySaturated, and N of on_epoch_end.
VANISHED, DEAD_SHARE, SATURATED_AT, SATURATED_SHARE, WINDOW = 1e-7, 0.7, 5.0, 0.5, 5


def judge(subject: Subject) -> str | None:
    run = subject.run
    last = run[-1]
    if not math.isfinite(last.loss):
        return "invalid loss"
    for step in (run[0], last):
        if any(_numerical(output) for output in step.outputs if output.is_floating_point()):
            return "numerical error in a layer's output"
    for number, step in enumerate(run):
        for gradient in step.gradients:
            if _numerical(gradient):
                return f"numerical error in the weights' gradient at step {number}"
            if float(gradient.abs().mean()) < VANISHED:
                return f"vanishing gradient at step {number}: mean {float(gradient.abs().mean()):.1e}"
    for activation in last.activations:
        if activation.kind == "relu" and float((activation.after <= 0).float().mean()) >= DEAD_SHARE:
            return "dead node"
        if (
            activation.kind != "relu"
            and float((activation.before.abs() >= SATURATED_AT).float().mean()) > SATURATED_SHARE
        ):
            return "saturated activation"
    losses = [step.loss for step in run]
    if any(len(set(losses[i : i + WINDOW])) == 1 for i in range(0, len(losses) - WINDOW + 1, WINDOW)):
        return "loss not decreasing"
    return None


def _numerical(tensor: Tensor) -> bool:
    """identifyNumerical: the mean is NaN, infinite, or exactly zero."""
    mean = float(tensor.float().mean())
    return not math.isfinite(mean) or mean == 0.0
