"""The scale of the weights does not suit the activation behind them, layer after layer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from steadygrad.record import Finding, Operation, StepTest, Trace
from steadygrad.rules.grading import (
    body,
    evidence,
    exploding,
    judged,
    lost,
    operation_of,
    other_places,
    outcome,
    sentence,
    slowest,
    vanishing,
)
from steadygrad.theory.table import needed_weight_variance

# The ratio of the measured σ_w² to the one the activation needs, outside of which the scale is a mismatch.
# bench/thresholds.py: initialisations made for the activation 0.9 to 1.1; torch's defaults for ReLU 0.17.
SMALL, LARGE = 0.8, 1.25

# Of the decades lost (or gained), the share that mismatched layers must explain.
SHARE = 0.4


@dataclass(frozen=True)
class _Layer:
    operation: Operation
    ratio: float
    """Measured σ_w² ÷ what the activation needs."""
    activation: str
    needed: float


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first mismatched layer."""
    shrinking, growing = vanishing(trace, trial), exploding(trace, trial)
    severity = shrinking or growing
    if severity is None:
        return
    layers = [layer for layer in _layers(trace) if layer.ratio < SMALL] if shrinking else [
        layer for layer in _layers(trace) if layer.ratio > LARGE
    ]
    if not layers:
        return
    explained = sum(0.5 * abs(math.log10(layer.ratio)) if layer.ratio > 0 else math.inf for layer in layers)
    decades = abs(lost(trace, trial))
    if math.isfinite(explained) and explained < SHARE * decades:
        return
    first = _main(layers)
    ratio = statistics.median(layer.ratio for layer in layers)
    size = "zero" if ratio == 0 else f"{ratio:.2g} of" if ratio < 1 else f"{ratio:.2g} times"
    per_layer = f"{abs(0.5 * math.log10(ratio)):.2g} decades" if ratio > 0 else "all of the gradient"
    yield judged(
        __name__,
        severity,
        "the weights are all zero"
        if ratio == 0
        else f"the weights' variance is {size} what {first.activation} needs, in {len(layers)} layers",
        location=first.operation.location,
        module=first.operation.module,
        label=f"each such layer {'takes' if shrinking else 'adds'} {per_layer}; {decades:.1f} in all"
        if math.isfinite(decades)
        else "makes the gradient zero",
        evidence=[
            evidence("σ_w² = fan-in × mean square weight", first.ratio * first.needed, "variance gain", f"{first.needed:.2g}"),
            evidence("decades explained by the mismatch", explained, "decades", "near 0"),
            evidence(f"decades {'lost' if shrinking else 'gained'} on the trunk", decades, "decades", "under 4"),
        ],
        consequence=sentence(slowest(trace) if shrinking else "", outcome(trial)),
        cures=[_initialiser(first), "folded initialisation", "batch norm before the activation", "a residual span"],
        count=len(layers),
        also=other_places(first.operation),
        explains=("SG101", "SG201", "SG105", "SG106", "SG204", "SG205"),
    )


def _main(layers: list[_Layer]) -> _Layer:
    """The first layer at the expression that most of them share."""
    places: dict[object, list[_Layer]] = {}
    for layer in layers:
        places.setdefault(layer.operation.location or layer.operation.module, []).append(layer)
    return max(places.values(), key=len)[0]


def _layers(trace: Trace) -> list[_Layer]:
    """Linear layers on the trunk or in its blocks, with the scale that the activation behind them needs."""
    parameters = {parameter.name: parameter for parameter in trace.parameters}
    on_trunk = {step.operation for step in body(trace)}
    behind: dict[int, Operation] = {}
    for operation in trace.operations:
        for parent in operation.parents:
            behind.setdefault(parent, operation)
    layers = []
    for operation in trace.operations:
        weight = parameters.get(operation.weight)
        if operation.kind != "linear" or weight is None or not operation.fan_in or operation.index not in on_trunk:
            continue
        follower = _follower(operation, behind)
        if follower is None:
            continue
        needed = _needed(follower)
        if needed is None:
            continue
        elements = math.prod(weight.shape) or 1
        layers.append(_Layer(operation, operation.fan_in * weight.norm**2 / elements / needed, follower.name, needed))
    return layers


def _follower(operation: Operation, behind: dict[int, Operation]) -> Operation | None:
    """The activation that takes the layer's output, past views and dropout; None where a normalisation resets the scale."""
    after = behind.get(operation.index)
    while after is not None and after.kind in ("shape", "dropout"):
        after = behind.get(after.index)
    if after is None or after.kind == "normalisation":
        return None
    return after


def _needed(follower: Operation) -> float | None:
    """Critical σ_w² of the activation; 1 for a layer that feeds another directly."""
    if follower.kind == "linear":
        return 1.0
    needed = needed_weight_variance(follower.name) if follower.kind == "activation" else None
    return needed if needed is not None and math.isfinite(needed) else None


def _initialiser(layer: _Layer) -> str:
    if layer.activation in ("relu", "leaky_relu", "relu6"):
        return "He initialisation: nn.init.kaiming_normal_(weight, nonlinearity='relu')"
    if layer.activation in ("tanh", "softsign", "linear", "erf"):
        return "Xavier or orthogonal initialisation with gain 1"
    if layer.activation == "selu":
        return "LeCun initialisation: standard deviation 1/√fan-in"
    return f"weights of variance {layer.needed:.2g}/fan-in, the critical scale of {layer.activation}"
