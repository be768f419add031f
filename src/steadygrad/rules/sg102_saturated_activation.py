"""A squashing activation lets too little of the gradient through.

## What it measures

Three numbers for each squashing activation on the trunk:

- the decades that it takes;
- the rms of its derivative on this batch, beside the greatest derivative of the function (1/4 for the sigmoid, 1 for tanh);
- the share of *saturated* units, whose derivative is below 5 % of that maximum.

The finding is raised in two cases:

- The gradient vanishes on the trunk, and squashing activations take at least half of the decades lost. The finding is an
  error or a warning by the rules of SG101; on one batch it is an error where a hundred steps teach nothing and 9.5 decades
  are lost.
- The trunk keeps its gradient, but more than 40 % of an activation's units are saturated and the loss does not come down.
  The finding is an error where the loss bounces or more than 90 % are saturated, else a warning.

## Why it matters

Every layer multiplies the gradient by φ′(z). The sigmoid's derivative is at most 1/4, so twenty sigmoids leave at most
4^-20 ≈ 1e-12; the weights rarely make up for it. tanh has slope 1 only at 0. Large inputs make it as flat as the sigmoid.

## Example

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [16] + [64] * 11
        self.fcs = nn.ModuleList(nn.Linear(size, 64) for size in sizes)
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.sigmoid(fc(x))
            #   ^^^^^^^^^^^^^^^^^^^^ SG102
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

An activation that does not squash, with the initialisation made for it:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [16] + [64] * 11
        self.fcs = nn.ModuleList(nn.Linear(size, 64) for size in sizes)
        for fc in self.fcs:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.relu(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Folded initialisation* keeps the activation. It draws orthogonal weights and scales them and the biases so that the
  gradient keeps its size through the activation. Changes numbers only, before training.
- *Gates that begin half open* raise the biases in front of shut gates. Changes numbers only.
- *ReLU, Leaky ReLU, ELU, GELU with He initialisation*: changes what the model computes; same keys.
- *Batch norm before the activation*: new parameters and keys; needs batches large enough (SG302).
- *A residual span*: changes what the model computes; same keys.

## When it is wrong

- The rule does not judge an activation inside a branch. A gate (LSTM, SE block) may be flat by design.
- The last sigmoid before a loss made for probabilities belongs to the loss: SG303 judges it.
- In a very small batch, units may look saturated that are not saturated in others.

## Where the threshold comes from

`SHARE = 0.5` of the decades lost and `SATURATED = 0.4` of the units; the decades are those of SG101. Fitted on the truth
table by `python -m bench.calibrate`.

## References

- Hochreiter 1998, *The Vanishing Gradient Problem During Learning Recurrent Neural Nets and Problem Solutions*.
- Glorot & Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, section 3.
- Xu, Huang & Li 2016, *Revise Saturated Activation Functions*.
- Martens et al. 2021, *Rapid training of deep neural networks … using Deep Kernel Shaping* (what folding rests on).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Saturation, Severity, Step, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import other_places, sentence
from steadygrad.rules.read_steptest import Progress, outcome, progress
from steadygrad.rules.read_trunk import body, lost, main_place, operation_of, slowest, taken_by, vanishing

RULE = "SG102", "saturated-activation"

SQUASHING = frozenset(
    ["sigmoid", "tanh", "hardtanh", "hardsigmoid", "softsign", "erf", "logsigmoid", "softmax", "expit"]
)

# bench.calibrate --quantities, share of the shrinking on the trunk that squashing activations take. Where they are the cause:
# 0.61 or more, but for one of 13; where another factor is (SG101, SG301): at most 0.12.
SHARE = 0.5

# bench.calibrate --quantities, greatest share of saturated units (derivative below 5 % of its maximum) of any activation.
# Set-ups that train: 95 % at most 0.63 (ReLU's off units count too); where saturation is the cause: 1.
SATURATED = 0.4


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for each kind of activation that bears the loss of gradient."""
    severity = vanishing(trace, trial)
    names = {o.name for o in trace.operations if _squashes(o)}
    for name in sorted(names):
        taken, steps = _taken(trace, name)
        if severity is not None and steps and _bears(trace, trial, taken, steps):
            yield _vanishing(trace, trial, name, -taken, severity)
        elif (stuck := _saturated(trace, trial, name)) is not None:
            yield stuck


def _squashes(operation: Operation) -> bool:
    return operation.kind == "activation" and operation.name in SQUASHING


def _taken(trace: Trace, name: str) -> tuple[float, list[Step]]:
    return taken_by(trace, lambda operation: operation.name == name and _squashes(operation))


def _saturation(trace: Trace, step: Step) -> Saturation | None:
    operation = operation_of(trace, step)
    return None if operation is None else operation.saturation


def _bears(trace: Trace, trial: StepTest | None, taken: float, steps: list[Step]) -> bool:
    """Whether the activation's own derivative, and not the scale of the weights, is the cause."""
    if taken == -math.inf:
        return True
    shrinking = -sum(min(0.0, s.decades) for s in body(trace) if math.isfinite(s.decades))
    bounded = any(
        (saturation := _saturation(trace, step)) is None
        or saturation.derivative_max < 1.0
        or saturation.saturated_share > 0.3
        for step in steps
    )
    return bounded and -taken >= SHARE * shrinking


def _vanishing(trace: Trace, trial: StepTest | None, name: str, taken: float, severity: Severity) -> Finding:
    _, steps = _taken(trace, name)
    decades = lost(trace, trial)
    first = main_place([step for step in steps if step.decades < 0] or steps)[0]
    operation = operation_of(trace, first)
    saturations = [s for step in steps if (s := _saturation(trace, step)) is not None]
    weights = -sum(s.decades for s in body(trace) if s.cause == "weight scale")
    proof = [
        Evidence(
            "decades taken by the activation's derivative",
            taken,
            "decades",
            f"under {thresholds.DECADES_STALLED:g} in all",
        )
    ]
    if saturations:
        rms = (sum(s.derivative_rms**2 for s in saturations) / len(saturations)) ** 0.5
        proof += [
            Evidence(
                "derivative rms on this batch", rms, f"of a maximum of {saturations[0].derivative_max:g}", "near 1"
            ),
            Evidence(
                "saturated units", max(s.saturated_share for s in saturations), "share", f"under {percent(SATURATED)}"
            ),
        ]
    if math.isfinite(weights):
        proof.append(Evidence("decades taken by the weights' scale", weights, "decades", "near 0"))
    zero = math.isinf(taken)
    greatest = saturations[0].derivative_max if saturations else 1.0
    often = f", {len(steps)} times in a row" if len(steps) > 1 else ""
    if zero:
        message, label = (
            f"{name} passes none of the gradient: every unit is saturated",
            "the gradient is exactly zero behind it",
        )
    else:
        bound = (
            f"at most {greatest:g} of the gradient"
            if greatest < 1
            else f"{number(10 ** (-taken / len(steps)), 2)} of the gradient"
        )
        message = f"{name} passes {bound}{often}"
        label = f"takes {taken:.1f} of the {decades:.1f} decades lost on the way to the input"
        if decades >= taken:
            label += f" ({percent(taken / decades)})"
    return Finding(
        *RULE,
        severity,
        message,
        location=first.location,
        module=first.module,
        label=label,
        evidence=tuple(proof),
        consequence=sentence(slowest(trace), outcome(trial)),
        cures=(
            CureRef("folded initialisation, which keeps the activation", "fold"),
            CureRef("ReLU with He initialisation", "swap-activation"),
            CureRef("batch norm before it", "normalise"),
            CureRef("a residual span", "residual"),
        ),
        count=len(steps),
        also=other_places(operation),
        explains=("SG101", "SG103", "SG105", "SG106", "SG301", "SG201"),
    )


def _saturated(trace: Trace, trial: StepTest | None, name: str) -> Finding | None:
    """Units driven into the flat parts although the trunk as a whole does not vanish."""
    if progress(trial) not in (Progress.STALLED, Progress.BOUNCES):
        return None
    sick = [
        operation
        for operation in trace.operations
        if operation.name == name
        and operation.saturation is not None
        and operation.saturation.saturated_share > SATURATED
    ]
    if not sick:
        return None
    saturation = sick[0].saturation
    assert saturation is not None
    return Finding(
        *RULE,
        Severity.ERROR if progress(trial) is Progress.BOUNCES or saturation.saturated_share > 0.9 else Severity.WARNING,
        f"{percent(saturation.saturated_share)} of the units of {name} are saturated on this batch",
        location=sick[0].location,
        module=sick[0].module,
        label=f"its inputs have standard deviation {number(saturation.input_std, 2)} around {number(saturation.input_mean, 2)}",
        evidence=(
            Evidence("saturated units", saturation.saturated_share, "share", f"under {percent(SATURATED)}"),
            Evidence(
                "derivative rms on this batch",
                saturation.derivative_rms,
                f"of a maximum of {saturation.derivative_max:g}",
                "near 1",
            ),
            Evidence("standard deviation of its inputs", saturation.input_std, "ratio to 1", "near 1"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("weights scaled so that its inputs are N(0, 1)", "initialise"),
            CureRef("batch norm before it", "normalise"),
            CureRef("an activation that does not squash", "swap-activation"),
        ),
        count=len(sick),
        also=other_places(sick[0]),
        explains=("SG101", "SG105", "SG106", "SG201", "SG204", "SG301"),
    )
