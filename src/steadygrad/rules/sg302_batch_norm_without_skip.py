"""Batch norm in a deep net without skips, or on a batch too small for it.

## What it measures

Two things. The rule reports either only if the step test does not learn; two or three values a channel are a warning even
where it does.

- *Depth*: the number of batch norms on the trunk, that is without a skip around them, and the decades that the gradient
  gains. The finding is raised where there are many batch norms and the gradient grows.
- *Batch*: the number of values that each channel is normalised over in training mode: batch × height × width. The finding is
  raised where there is only a handful.

## Why it matters

*Depth.* A ReLU removes part of the variance. The next batch norm divides by the remaining standard deviation, so the gradient
grows by about √(π/(π-1)) ≈ 1.21 at every ReLU layer. No choice of weights undoes this: the scale of the weights cancels. Ten
layers train as usual. At 50 the first layers get gradients thousands of times those of the last.

*Batch.* The normalised values of a channel always have mean 0 and variance 1. Two values become +1 and -1 whatever the input;
one value becomes 0 (torch raises). The output keeps the order of the inputs and loses their size.

## Example

Fifty layers with batch norm in a row:

```python
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(50))
        self.norms = nn.ModuleList(nn.BatchNorm1d(64) for _ in range(50))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for fc, norm in zip(self.layers, self.norms):
            x = torch.relu(norm(fc(x)))
            #              ^^^^^^^^^^^ SG302
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 64)
    y = (x @ torch.randn(64, 10)).argmax(1)
    model = Plain()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

A skip around each layer: the gradient passes the sum unchanged.

```python
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(50))
        self.norms = nn.ModuleList(nn.BatchNorm1d(64) for _ in range(50))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for fc, norm in zip(self.layers, self.norms):
            x = x + torch.relu(norm(fc(x)))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 64)
    y = (x @ torch.randn(64, 10)).argmax(1)
    model = Plain()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A residual span around every one or two layers*: changes the function, so train again; no new parameters where
  shapes agree, a projection where they differ.
- *A larger batch*, or statistics over all devices (`nn.SyncBatchNorm`): safe for the model; costs memory or
  communication. Gradient accumulation does not help: batch norm takes its statistics per micro-batch.
- *Group or layer norm*: independent of the batch; other buffers, so other `state_dict` keys.
- *Fewer layers*.

## When it is wrong

- A small learning rate may train a deep plain stack in the end: after a few steps its gradients even out somewhat. Check
  again with `--trial 100`.
- Each device of a data-parallel run sees only a part of the batch. Check with the batch of one device.
- In eval mode batch norm uses the running statistics, so the size of the batch does not matter. The rule reports nothing
  then.

## Where the threshold comes from

`DEEP = 40` batch norms on the trunk together with `DECADES_GAINED = 2.0`, and `FEW_VALUES = 4` values a channel; `A_HANDFUL
= 3` where the steps learn, because such nets are measured to reach far less. Fitted on the truth table by `python -m
bench.calibrate`.

## References

- Yang, Pennington, Rao, Sohl-Dickstein & Schoenholz 2019, *A Mean Field Theory of Batch Normalization* (gradients grow
  exponentially with depth; for ReLU the squared norm by π/(π-1) a layer).
- Ioffe & Szegedy 2015, *Batch Normalization*, algorithm 1.
- Wu & He 2018, *Group Normalization*, figure 1 (the error against the batch size).
- De & Smith 2020, *Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress
from steadygrad.rules.read_trunk import body, lost

RULE = "SG302", "batch-norm-without-skip"

# Values a channel is normalised over. With two, every output is ±1 whatever the input (Ioffe & Szegedy 2015, eq. for the
# batch variance); from 16 on the table's nets train.
FEW_VALUES = 4

# The same of a net that learns all the same, only less. Three layers of batch norm on digits, two epochs of Adam, two seeds:
# 0.46 and 0.57 with 2 values a channel, 0.78 and 0.82 with 3, 0.87 and 0.91 with 4, 0.94 and 0.96 with 8; layer norm 0.98.
A_HANDFUL = 3

# Batch norms on the trunk itself, and decades gained. Yang et al. 2019 derive a growth of the squared norm by π/(π-1) a layer
# for ReLU, 3.3 decades in 40; bench.calibrate --quantities: 60 and 100 such layers, seen to fail, gain 5.1 to 8.6.
DEEP = 40
DECADES_GAINED = 2.0

# bench.calibrate --quantities, relative fall that the gradient predicts for the first update, and the fall after ten. 212
# set-ups that train: 95 % predict at most 0.49; 60 and 100 such layers predict 4e7 to 6e10 and bring at most 0.063.
PROMISED = 1.0
BROUGHT = 0.15


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the depth, or one for the batch."""
    learns = progress(trial) is Progress.LEARNS
    norms = [operation for operation in trace.operations if operation.name == "batch_norm"]
    small = [operation for operation in norms if _values(operation) <= (A_HANDFUL if learns else FEW_VALUES)]
    if small and trace.training:
        yield _small(trace, trial, small)
    if learns and not _blind(trial):
        return
    on_trunk = {step.operation for step in body(trace)}
    plain = [operation for operation in norms if operation.index in on_trunk]
    gained = -lost(trace, trial)
    if len(plain) >= DEEP and gained >= DECADES_GAINED:
        yield _deep(trace, trial, plain, gained)


def _blind(trial: StepTest | None) -> bool:
    """Whether the gradient promises more than the whole loss for one update, and ten updates bring next to nothing."""
    return trial is not None and trial.predicted_first > PROMISED and trial.first.fall < BROUGHT


def _values(operation: Operation) -> int:
    shape = operation.output_shape
    return math.prod(shape) // shape[1] if len(shape) > 1 and shape[1] else 0


def _severity(trial: StepTest | None) -> Severity:
    return Severity.ERROR if progress(trial) in (Progress.BOUNCES, Progress.STALLED) else Severity.WARNING


def _small(trace: Trace, trial: StepTest | None, small: list[Operation]) -> Finding:
    return Finding(
        *RULE,
        _severity(trial),
        f"batch norm over {_values(small[0])} values a channel: its output keeps little of its input",
        location=small[0].location,
        module=small[0].module,
        label=f"normalises an output of shape {small[0].output_shape}",
        evidence=(Evidence("values per channel", float(_values(small[0])), "values", "16 or more"),),
        consequence=outcome(trial),
        cures=(CureRef("a larger batch"), CureRef("group norm or layer norm, which are independent of the batch")),
        count=len(small),
        also=other_places(small[0]),
        explains=("SG105", "SG106", "SG204"),
    )


def _deep(trace: Trace, trial: StepTest | None, plain: list[Operation], gained: float) -> Finding:
    return Finding(
        *RULE,
        _severity(trial),
        f"{len(plain)} batch norms in a row without a skip: the gradient gains {gained:.1f} decades",
        location=plain[0].location,
        module=plain[0].module,
        label=f"each multiplies the gradient by about {10 ** (gained / len(plain)):.2f}",
        evidence=(
            Evidence("batch norms on the trunk", float(len(plain)), "layers", f"under {DEEP}, or with skips"),
            Evidence("decades gained on the trunk", gained, "decades", f"under {DECADES_GAINED:g}"),
        ),
        consequence=outcome(trial),
        cures=(CureRef("a residual span around every two layers", "residual"), CureRef("fewer layers")),
        count=len(plain),
        also=other_places(plain[0]),
        explains=("SG201", "SG204", "SG106", "SG301", "SG205"),
    )
