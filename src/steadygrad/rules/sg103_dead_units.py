"""Units of a ReLU-like activation are inactive on the whole batch.

## What it measures

The share of *dead* units of each rectifying activation. A unit is dead if its derivative is exactly 0 on every sample of
the batch (and, for channels, at every place). The finding is raised if the step test does not learn and nearly all units
of a layer are dead, or an activation on the trunk passes no gradient. A layer whose own weights are zero does not count: a
zero-initialised branch is shut by design and opens.

The probe runs once more after the step test. The finding is an error at a rectifier if every gradient is then exactly zero
and the rectifier stops it: alive at the start, dead after so many steps.

## Why it matters

A unit that is off for every sample has derivative 0 for every sample. Its weights get no gradient, so training cannot
switch it on again. Three things kill a layer: biases far below 0, inputs of one sign with weights of the other, and one
oversized update. A dead layer cuts off every layer in front of it.

## Example

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [16, 64, 64]
        self.fcs = nn.ModuleList(nn.Linear(size, 64) for size in sizes)
        for fc in self.fcs:
            nn.init.constant_(fc.bias, -5.0)
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.relu(fc(x))
            #   ^^^^^^^^^^^^^^^^^ SG103
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

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [16, 64, 64]
        self.fcs = nn.ModuleList(nn.Linear(size, 64) for size in sizes)
        for fc in self.fcs:
            nn.init.zeros_(fc.bias)
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

- *Biases set so that half of the units are active* (0, as a rule): changes numbers only, before training.
- *Leaky ReLU or ELU*, whose derivative is never 0: changes what the model computes; same keys.
- *A smaller learning rate*, where a large step killed the units: safe.
- *Normalisation before the activation*: new parameters and keys.

## When it is wrong

- A small batch may leave units off that other batches switch on. With n samples, a unit that is on for a share p of all
  inputs looks dead with probability (1 - p)^n.
- Sparse experts and pruned layers are off by design. The rule reports nothing if the loss falls.
- A clamp that values rarely reach is not dead. A clamp that every value reaches is.

## Where the threshold comes from

`DEAD = 0.93` of a layer's units: healthy nets have some dead units too. Fitted on the truth table by `python -m
bench.calibrate`.

## References

- Maas, Hannun & Ng 2013, *Rectifier Nonlinearities Improve Neural Network Acoustic Models* (Leaky ReLU, and why).
- Clevert, Unterthiner & Hochreiter 2016, *Fast and Accurate Deep Network Learning by Exponential Linear Units*.
- Lu, Shin, Su & Karniadakis 2019, *Dying ReLU and Initialization: Theory and Numerical Examples*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.record.steptest import Died, SecondLook
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, died_after, gone, outcome, progress
from steadygrad.rules.read_trunk import body

RULE = "SG103", "dead-units"

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

# bench.calibrate --quantities, greatest share of dead units in one layer. 179 set-ups that train: 95 % at most 0.44, the
# greatest 0.83; where dead units are the cause: 1, but for one of seven, which dies at the first step.
DEAD = 0.93


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first layer whose units are dead, from the start or since the steps of the step test."""
    second = gone(trial)
    died = _culprit(second) if second is not None else None
    if trial is not None and died is not None:
        yield _died(trial, died)
        return
    if progress(trial) is Progress.LEARNS:
        return
    norms = {parameter.name: parameter.norm for parameter in trace.parameters}
    zero = {step.operation for step in body(trace) if step.decades == -math.inf}
    dead = []
    for operation in trace.operations:
        if operation.kind != "activation" or operation.name not in RECTIFYING:
            continue
        feeding = [trace.operations[parent] for parent in operation.parents]
        if any(norms.get(parent.weight) == 0.0 for parent in feeding) or _fed_with_zeros(operation):
            continue
        share = operation.saturation.dead_share if operation.saturation is not None else 0.0
        if share >= DEAD or operation.index in zero:
            dead.append((operation, 1.0 if operation.index in zero else share))
    if not dead or (zero and all(operation.index not in zero for operation, _ in dead)):
        return  # What ends the gradient is something else, which another rule names.
    first, share = dead[0]
    blocked = first.index in zero
    saturation = first.saturation
    proof = [Evidence("dead units", share, "share", f"under {percent(DEAD)}")]
    if saturation is not None:
        proof += [
            Evidence("mean of its inputs", saturation.input_mean, "absolute", "near 0"),
            Evidence("standard deviation of its inputs", saturation.input_std, "absolute", "near 1"),
        ]
    yield Finding(
        *RULE,
        Severity.ERROR if blocked or progress(trial) in (Progress.STALLED, Progress.BOUNCES) else Severity.WARNING,
        f"{percent(share)} of the units of {first.name.rstrip('_')} are inactive on the whole batch",
        location=first.location,
        module=first.module,
        label="passes no gradient" if blocked else "these units get no gradient and cannot recover",
        evidence=tuple(proof),
        consequence=outcome(trial),
        cures=(
            CureRef("biases set so that half of the units are active", "initialise"),
            CureRef("Leaky ReLU or ELU, which never cut the gradient off", "swap-activation"),
            CureRef("a smaller learning rate"),
            CureRef("normalisation before it", "normalise"),
        ),
        count=len(dead),
        also=other_places(first),
        explains=("SG101", "SG102", "SG105", "SG106", "SG301", "SG308"),
    )


def _fed_with_zeros(operation: Operation) -> bool:
    """Whether nothing but zeros comes in: what made them so is to blame, and stands before it."""
    seen = operation.saturation
    return seen is not None and seen.input_std == 0.0 == seen.input_mean


def _culprit(second: SecondLook) -> Died | None:
    """The layer next to the loss that died in the steps, where every gradient is exactly zero since."""
    dead = [one for one in second.died if one.after >= DEAD and one.name.rstrip("_") in RECTIFYING]
    return dead[-1] if dead else None


def _died(trial: StepTest, died: Died) -> Finding:
    """An update has pushed the layer to where it passes nothing, and no gradient is left to bring it back."""
    return Finding(
        *RULE,
        Severity.ERROR,
        f"{died_after(trial)}: {died.name.rstrip('_')} passes no gradient",
        location=died.location,
        module=died.module,
        label="clips every output",
        evidence=(
            Evidence("dead units before the steps", died.before, "share", f"under {percent(DEAD)}"),
            Evidence("dead units after them", died.after, "share", f"under {percent(DEAD)}"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("leaving it out, where it stands at the output"),
            CureRef("Leaky ReLU or ELU, which never cut the gradient off", "swap-activation"),
            CureRef("a smaller learning rate"),
        ),
        explains=("SG101", "SG105", "SG106", "SG107", "SG109", "SG204", "SG301", "SG308"),
    )
