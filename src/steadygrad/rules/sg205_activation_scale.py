"""Layer outputs are far from N(0, 1).

## What it measures

Mean and standard deviation of each operation's output (layers, activations, normalisations, sums), on a sample of its
elements. The finding is raised at the first operation whose standard deviation or |mean| is far above the scale that layers
are made for. It is an error if the step test does not learn, and a warning if it learns slowly. Without a step test the rule
reports nothing. Where the gradient explodes too (SG201), or the input is the cause (SG304), that finding stands instead.

## Why it matters

A layer of fan-in n with weights of variance σ² multiplies the second moment of its input by nσ². Weights drawn from
N(0, 1) multiply it by n: three layers of width 256 turn a standard deviation of 1 into hundreds. Logits of that size make the
softmax one-hot at random, and the first loss is in the hundreds. A rate that is small enough for this loss is too small for
the rest of the training.

## Example

Weights from N(0, 1), whatever the fan-in:

```python
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 256), nn.Linear(256, 256)
        self.fc3 = nn.Linear(256, 4)
        for fc in (self.fc1, self.fc2, self.fc3):
            nn.init.normal_(fc.weight)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)
        #      ^^^^^^^^^^^ SG205


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 64)
    y = (x @ torch.randn(64, 4)).argmax(1)
    model = Plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

Weights of variance 2/fan-in, which keep the second moment through a ReLU:

```python
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 256), nn.Linear(256, 256)
        self.fc3 = nn.Linear(256, 4)
        for fc in (self.fc1, self.fc2, self.fc3):
            nn.init.kaiming_normal_(fc.weight)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 64)
    y = (x @ torch.randn(64, 4)).argmax(1)
    model = Plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Weights scaled by 1/√fan-in* (LeCun, He, Xavier, or data-driven as LSUV): changes numbers only, before training.
- *Normalisation after the layer*: new parameters, new `state_dict` keys; works for any weights.
- *A standardised input* (or target, for regression in natural units): changes the data pipeline, also at inference.

## When it is wrong

- Outputs in natural units (prices, pixels up to 255) are large by design. Standardise the target, or ignore the rule
  for this module.
- The finding names the first operation above the threshold, or the one before it that makes the numbers grow most. Where
  several operations grow them alike, the growth may begin layers before.
- A residual stream may grow large if a normalisation in front of the head removes the scale. The rule reports nothing if the
  model learns.

## Where the threshold comes from

`LARGE = 200.0`: the outputs of healthy architectures stay well below; those of set-ups that fail by scale alone are above.
`LARGE_STUCK = 20.0` where hundreds of steps on fresh batches teach next to nothing.
Fitted on the truth table by `python -m bench.calibrate`.

## References

- LeCun, Bottou, Orr & Müller 1998, *Efficient BackProp*, section 4.6 (weights of standard deviation 1/√fan-in).
- Glorot & Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, equation 16.
- He, Zhang, Ren & Sun 2015, *Delving Deep into Rectifiers*, equations 9 and 10.
- Mishkin & Matas 2016, *All You Need is a Good Init*, algorithm 1 (LSUV).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.growth import grown_at
from steadygrad.rules.plateau import hardly_learns
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG205", "activation-scale"

# bench.calibrate --quantities, greatest standard deviation (or |mean|) of any layer's output. 212 set-ups that train: 95 % at
# most 5.8, above this only such as learn all the same; sick by explosion (SG201): 2,100 and more.
LARGE = 200.0

# The same where after hundreds of steps on fresh batches next to nothing was learned. Of the calibration rows of which that is
# all there is to tell, the one that was given weights too large reaches 194, all others at most 6.8.
LARGE_STUCK = 20.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first layer whose output is too large."""
    if progress(trial) in (Progress.LEARNS, Progress.UNKNOWN):
        return
    least = LARGE_STUCK if trial is not None and hardly_learns(trial) else LARGE
    sick = [
        operation
        for operation in trace.operations
        if operation.output is not None
        and operation.module_type
        and max(operation.output.std, abs(operation.output.mean)) > least
    ]
    if not sick:
        return
    first = grown_at(trace, sick[0])
    assert first.output is not None
    yield Finding(
        *RULE,
        Severity.WARNING if progress(trial) is Progress.SLOW else Severity.ERROR,
        f"the output of {first.name} has standard deviation {number(first.output.std, 2)} around {number(first.output.mean, 2)}, "
        "far from N(0, 1)",
        location=first.location,
        module=first.module,
        label="the numbers grow most here"
        if first is not sick[0]
        else f"first of {len(sick)} such outputs"
        if len(sick) > 1
        else "",
        evidence=(
            Evidence("standard deviation of the output", first.output.std, "absolute", "near 1"),
            Evidence("mean of the output", first.output.mean, "absolute", "near 0"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("weights scaled by 1/√fan-in", "initialise"),
            CureRef("normalisation after it", "normalise"),
            CureRef("standardised input"),
        ),
        count=len(sick),
        also=other_places(first),
        explains=("SG204", "SG106", "SG105"),
    )
