"""SageMaker Debugger's built-in rules for deep learning, with their documented default parameters, as written there.

VanishingGradient, ExplodingTensor, AllZero, WeightUpdateRatio, DeadRelu, SaturatedActivation, LossNotDecreasing and
PoorWeightInitialization. The service looks every 500 steps; here every step of the short run is looked at.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from bench.peers.watch import Step, Subject, finite

NAME = "sagemaker-debugger"
REFERENCE = "docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html"
COST = "30 training steps, every weight and gradient read and kept"

VANISHED = 1e-7
RATIO = (1e-8, 10.0)
INACTIVE, LAYER = 0.01, 0.5
TANH, SIGMOID = (-9.4999, 9.4999), (-23.0, 16.99999)
LOSS_STEPS, LOSS_FALL = 10, 0.001
VARIANCE_RATIO, GRADIENT_RANGE, PATIENCE, FIRST_STEPS = 10.0, 0.001, 5, 10


def judge(subject: Subject) -> str | None:
    run = subject.run
    for step in run:
        if not finite(torch.tensor(step.loss), *step.gradients, *step.weights):
            return "ExplodingTensor"
        if any(float(gradient.abs().mean()) < VANISHED for gradient in step.gradients):
            return "VanishingGradient"
        if any(not gradient.any() for gradient in step.biases):
            return "AllZero"
    for before, after in pairwise(run):
        for old, new in zip(before.weights, after.weights, strict=True):
            ratio = float((new - old).norm() / (old.norm() + 1e-9))
            if not RATIO[0] <= ratio <= RATIO[1]:
                return f"WeightUpdateRatio: {ratio:.1e}"
    for step in (run[0], run[-1]):
        for activation in step.activations:
            if _share_of_units(_idle(activation.kind, activation.before, activation.after)) > LAYER:
                return "DeadRelu" if activation.kind == "relu" else "SaturatedActivation"
    losses = [step.loss for step in run]
    stood = [b > a * (1 - LOSS_FALL) for a, b in zip(losses, losses[LOSS_STEPS:], strict=False)]
    if any(stood[::LOSS_STEPS]):
        return "LossNotDecreasing"
    return "PoorWeightInitialization" if _poorly_drawn(run[:FIRST_STEPS]) else None


def _idle(kind: str, before: Tensor, after: Tensor) -> Tensor:
    """Elements that are inactive (relu) or beyond the ends of the function."""
    if kind == "relu":
        return after <= 0
    low, high = TANH if kind == "tanh" else SIGMOID
    return (before < low) | (before > high)


def _share_of_units(idle: Tensor) -> float:
    """Share of units (last dimension) that are active in less than one in a hundred cases."""
    units = idle.flatten(0, -2) if idle.ndim > 1 else idle[None]
    return float((units.float().mean(0) > 1 - INACTIVE).float().mean())


def _poorly_drawn(run: tuple[Step, ...]) -> bool:
    """Layers of unlike variance or gradients in a narrow range, while the loss doesn't fall in the first steps."""
    losses = [step.loss for step in run]
    if len(losses) > PATIENCE and min(losses[PATIENCE:]) < losses[0]:
        return False
    variances = [float(weight.float().var()) for weight in run[0].weights if weight.numel() > 1]
    unlike = max(variances) > VARIANCE_RATIO * min(variances)
    ranges = [
        float(torch.quantile(g.flatten()[:10_000], 0.95) - torch.quantile(g.flatten()[:10_000], 0.05))
        for g in run[0].gradients
    ]
    return unlike or min(ranges) < GRADIENT_RANGE
