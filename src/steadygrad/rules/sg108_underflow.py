"""Gradients, updates or results are too small for the number format that holds them.

## What it measures

Three kinds of numbers below the least that a format holds. The rule reports them if the step test does not learn:

- gradient elements that float16 rounds to zero and float32 holds: their share at the worst place of the trunk. The probe
  rescales gradients, so it sees them;
- updates smaller than half the spacing of the weights' own format. They round back to the weight;
- results of a forward operation that are all zero although no input is. Their gradient is zero, too.

## Why it matters

float16 holds nothing below 6e-8, and most gradients are smaller. bfloat16 has the range of float32 but only eight bits: a
weight of 1 does not change by 1e-3. A product of many probabilities falls below float32 after some fifty factors. In each
case the value is exactly zero, and zero has no direction.

## Example

The likelihood of a sequence of 80 steps, as the product of its steps' probabilities:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(16, 64), nn.Linear(64, 8)

    def forward(self, x):
        return self.head(torch.tanh(self.fc(x)))


def unlikelihood(scores, y):
    chosen = scores.softmax(-1).gather(-1, y[..., None]).squeeze(-1)
    return 1 - chosen.prod(dim=-1).mean()
    #          ^^^^^^^^^^^^^^^^^^^ SG108


def setup():
    torch.manual_seed(0)
    x = torch.randn(32, 80, 16)
    y = (x @ torch.randn(16, 8)).argmax(-1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), unlikelihood, optimizer
```

## Use instead

The same in logarithms, where a product is a sum:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(16, 64), nn.Linear(64, 8)

    def forward(self, x):
        return self.head(torch.tanh(self.fc(x)))


def surprise(scores, y):
    chosen = scores.log_softmax(-1).gather(-1, y[..., None]).squeeze(-1)
    return -chosen.sum(dim=-1).mean()


def setup():
    torch.manual_seed(0)
    x = torch.randn(32, 80, 16)
    y = (x @ torch.randn(16, 8)).argmax(-1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), surprise, optimizer
```

## Cures and their safety

- *Loss scaling* (`torch.amp.GradScaler`) for float16: safe.
- *bfloat16* in place of float16, where the range is too small: changes precision, not the model.
- *float32 weights under `autocast`*, in place of casting the whole model: more memory, same model.
- *Sums of logarithms* in place of products: the same optimum, another loss value.

## When it is wrong

- A GradScaler in the training loop scales the gradients. The check sees them unscaled.
- The elements that matter may survive while most become zero: the share counts elements, not their weight.
- A product that is zero by design (a mask of zeros) has a zero among its inputs. It does not count.

## Where the threshold comes from

`UNDERFLOW = 0.5` of the elements. For updates the limit is half the spacing of the format around 1: it is arithmetic, not
measurement. `python -m bench.calibrate --quantities` prints the measured shares again.

## References

- Micikevicius et al. 2018, *Mixed Precision Training*, sections 3.1 (float32 master weights) and 3.2 (loss scaling).
- Kalamkar et al. 2019, *A Study of BFLOAT16 for Deep Learning Training*.
- Goldberg 1991, *What Every Computer Scientist Should Know About Floating-Point Arithmetic*.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, NonFinite, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG108", "underflow"

# bench.calibrate --quantities, share of gradient elements that float16 rounds to zero at the worst place of the trunk. 212
# set-ups that train: 0; float16 without loss scaling at a depth that needs it: 1.
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
        yield Finding(
            *RULE,
            severity,
            f"{percent(trace.underflow_share)} of the gradient's elements are too small for float16 and become zero",
            location=operation.location if operation is not None else None,
            module=operation.module if operation is not None else "",
            label="the gradient that arrives here is below 6e-8, the least that float16 holds",
            evidence=(
                Evidence("elements rounded to zero", trace.underflow_share, "share", f"under {percent(UNDERFLOW)}"),
            ),
            consequence=outcome(trial),
            cures=(
                CureRef("loss scaling (torch.amp.GradScaler)"),
                CureRef("bfloat16, which has the range of float32"),
                CureRef("float32 for the layers behind"),
            ),
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
        yield Finding(
            *RULE,
            severity,
            f"updates of {number(first.update_ratio or 0.0, 1)} of a weight are lost in {first.dtype}, "
            f"whose numbers are {number(2 * HALF_SPACING[first.dtype], 1)} apart",
            location=trace.optimizer or first.location,
            module=first.name,
            label="its steps are too small for these weights" if trace.optimizer is not None else "",
            evidence=(
                Evidence(
                    "update ratio", first.update_ratio or 0.0, "ratio", f"over {number(HALF_SPACING[first.dtype], 1)}"
                ),
            ),
            consequence=outcome(trial),
            cures=(
                CureRef("float32 master weights (autocast in place of model.half())"),
                CureRef("a larger learning rate"),
            ),
            count=len(swallowed),
            explains=("SG106", "SG107"),
        )


def _forward(trace: Trace, trial: StepTest | None, found: NonFinite, severity: Severity) -> Finding:
    """The forward pass itself underflows: an operation whose every result is too small to be held."""
    operation = trace.operations[found.operation] if found.operation is not None else None
    dtype = operation.dtype if operation is not None else trace.dtype
    return Finding(
        *RULE,
        severity,
        f"every result of {found.name} is too small for {dtype} and becomes zero, and so does its gradient",
        location=found.location,
        module=found.module,
        label="all its results are zero",
        evidence=(Evidence("elements rounded to zero", 1.0, "share", f"under {percent(UNDERFLOW)}"),),
        consequence=outcome(trial),
        cures=(
            CureRef("the same in logarithms: sums of logs in place of products, logsumexp"),
            CureRef("a scale that keeps it near 1"),
        ),
        also=other_places(operation),
        explains=("SG101", "SG102", "SG105", "SG106", "SG107"),
    )
