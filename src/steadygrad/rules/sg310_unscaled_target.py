"""The targets of a regression are far from where the outputs start, and the steps do not reach them.

## What it measures

Mean and standard deviation of the targets, beside the root mean square of the outputs that a loss compares them with,
before the first step: `mse_loss`, `l1_loss`, `smooth_l1_loss` and `huber_loss`, or a difference that is squared or made
positive and then averaged into the loss. The finding is raised if the greater of |mean| and deviation is at least `FAR`,
and `FAR` times the outputs' size, and the model learns little or nothing from the input.

## Why it matters

The outputs of a usual initialisation are near 1. For prices of 200,000 the loss begins at 4e10, and only greater outputs of
the last layer lower it. Adam moves a weight by about its rate a step: at 1e-3 it takes some hundred thousand steps. Plain
gradient descent follows a gradient as large as the targets and overshoots. Until the scale is right, the model learns no
difference between the samples. The gradient is not at fault.

## Example

```python
import torch
from torch import nn


def loss_fn(output, target):
    return nn.functional.mse_loss(output, target)
    #      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG310


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 8)
    y = 2e5 + 5e4 * x[:, :1]
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), loss_fn, optimizer
```

## Use instead

Standardised targets; predictions are `output * std + mean`.

```python
import torch
from torch import nn


def loss_fn(output, target):
    return nn.functional.mse_loss(output, target)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 8)
    y = 2e5 + 5e4 * x[:, :1]
    y = (y - y.mean()) / y.std()
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return model, (x, y), loss_fn, optimizer
```

## Cures and their safety

- *Standardised targets*: `(y - mean) / std` of the training set. Changes the loss's units; undo it on the predictions.
- *An output in the targets' units* (`standardised-target`): the last layer's result times std plus mean, in the model.
- *A far greater learning rate* is no cure: it reaches the targets and is wrong from then on.

## When it is wrong

- Targets with few values far from 0 (a year, a temperature in kelvin) may raise the finding where the net is merely slow.

## Where the threshold comes from

`FAR = 20`: in 76 regressions of the truth table's calibration part that train, the targets are at most 1.03 times the
outputs; in three that fail by their targets, 310 and 220,000 times.

## References

- LeCun, Bottou, Orr & Müller 1998, *Efficient BackProp*, section 4.5 (choosing target values).
- van Hasselt et al. 2016, *Learning Values Across Many Orders of Magnitude* (what unscaled targets do to a net).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.comparing import compares
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG310", "unscaled-target"

# The targets' size ÷ the outputs', by the probe: of 76 calibration rows that train at most 1.03; three that fail by their
# targets have 310 and 2.2e5.
FAR = 20.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the comparison."""
    now = progress(trial)
    if now in (Progress.LEARNS, Progress.UNKNOWN):
        return
    for operation in trace.operations:
        target = operation.target
        if target is None or not compares(trace, operation):
            continue
        size = max(abs(target.mean), target.std)
        if size < FAR * max(1.0, target.output):
            continue
        yield Finding(
            *RULE,
            Severity.WARNING if now is Progress.SLOW else Severity.ERROR,
            f"the targets have standard deviation {number(target.std, 2)} around {number(target.mean, 2)}, "
            f"where outputs start at {number(target.output, 2)}",
            location=operation.location,
            module=operation.module,
            label="compares them",
            evidence=(
                Evidence("standard deviation of the targets", target.std, "absolute", "near 1"),
                Evidence("mean of the targets", target.mean, "absolute", "near 0"),
                Evidence("root mean square of the outputs", target.output, "absolute", "like the targets'"),
            ),
            consequence=outcome(trial),
            cures=(
                CureRef("standardised targets: (y - mean) / std of the training set, undone on the predictions"),
                CureRef("an output in the targets' units", "standardised-target"),
            ),
            also=other_places(operation),
            explains=("SG105", "SG106", "SG109", "SG203", "SG204", "SG205"),
        )
        return
