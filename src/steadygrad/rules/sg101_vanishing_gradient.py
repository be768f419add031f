"""The gradient shrinks by many decades on its way from the loss to the input.

## What it measures

Decades lost along the trunk: log10 of the gradient norm at the model's output ÷ the norm at its input, the loss
function's own share left out. The trunk holds only the operations that every path from the loss to the input passes. A
branch that is small by design (LayerScale, a zero-initialised block, a gate) does not count. Gains multiply, so decades
add:

    lost = -Σ log10(‖gradient behind a step‖ ÷ ‖gradient in front of it‖)

The finding stands at the expression whose steps take most. A normalisation takes back the scale of the layer in front of it:
the finding counts the two together, so weights a hundred times too large are not to blame there. A model that learns in the
step test gets no finding. Else the finding is a warning from 4 decades on, and from 3 on where the loss stands still and the
samples move no further apart. Without a step test it takes 5.5 decades.

It is an error from 5.5 decades on if the first ten steps learn nothing and one of these holds:

- the gradient becomes exactly zero;
- the samples differ by less than the rounding of what they share;
- the slowest weights move by less than a millionth of their size a step, as they do under SGD.

On one batch it is also an error where a hundred steps teach nothing and 9.5 decades are lost: a net that trains learns one
batch by heart in that time. It is an error, too, where the steps of the step test leave every gradient exactly zero.

Other rules name the cause where squashing activations (SG102), the scale of the weights (SG301), dead units (SG103) or a
recurrence (SG104) take most of the gradient.

## Why it matters

A weight's gradient is the arriving gradient times the activation in front of the layer. Each operation multiplies the
gradient by its gain. A product of n factors below 1 falls exponentially with n. Behind six lost decades the first layers
stand still under SGD. Adam is scale-free and trains on for longer, until the arriving gradient is rounding noise.

## Example

Every layer is initialised well. The code then halves its output, as a mean of two paths does when one is missing:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 64), nn.Linear(64, 4)
        self.fcs = nn.ModuleList(nn.Linear(64, 64) for _ in range(30))
        for fc in self.fcs:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")

    def forward(self, x):
        x = self.stem(x)
        for fc in self.fcs:
            x = torch.relu(fc(x))
            x = 0.5 * x
            #   ^^^^^^^ SG101
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

A skip around each layer: it gives the gradient a path without any factor.

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 64), nn.Linear(64, 4)
        self.fcs = nn.ModuleList(nn.Linear(64, 64) for _ in range(30))

    def forward(self, x):
        x = self.stem(x)
        for fc in self.fcs:
            x = x + 0.5 * torch.relu(fc(x))
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

- *A residual span around the layers that shrink it*: changes what the model computes; same parameters, same keys.
- *Normalisation between them*: new parameters, new keys. It rescales the forward pass and, by the same factor, the
  gradient.
- *Weights scaled so that each layer's gain is 1*: changes numbers only, before training.

## When it is wrong

- A model with several inputs is judged by the first input that gets a gradient. The gradient of another may be larger.
- A long plateau may end by itself after more than ten steps. The warning is then too early: check again with `--trial 100`.
- A dead branch does not show on the trunk. SG107 reports its parameters.

## Where the threshold comes from

`DECADES_AT_RISK`, `DECADES_LOST`, `DECADES_STALLED`, `DECADES_DROWNED`, `ROUNDING` and `CRAWL` stand in
`rules/thresholds.py`, each beside its measurement. `python -m bench.calibrate --quantities` prints the measurements
again. On one batch, of 44 calibration rows that lose 4.5 decades or more and do not fail, those that learn nothing in a
hundred steps lose at most 8.

## References

- Hochreiter 1991, *Untersuchungen zu dynamischen neuronalen Netzen*; Bengio, Simard & Frasconi 1994, *Learning
  Long-Term Dependencies with Gradient Descent is Difficult*.
- Glorot & Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, section 4.
- He, Zhang, Ren & Sun 2016, *Identity Mappings in Deep Residual Networks*, equation 5.
- Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, *Deep Information Propagation*, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.record.steptest import SecondLook
from steadygrad.rules import thresholds
from steadygrad.rules.findings import other_places, sentence
from steadygrad.rules.read_steptest import died_after, gone, outcome
from steadygrad.rules.read_trunk import lost, main_place, net_body, operation_of, slowest, vanishing

RULE = "SG101", "vanishing-gradient"


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole trunk, at the place that takes most."""
    second = gone(trial)
    if trial is not None and second is not None:
        yield _gone(trial, second)
        return
    severity = vanishing(trace, trial)
    if severity is None:
        return
    decades = lost(trace, trial)
    at = main_place([step for step in net_body(trace) if step.decades < 0])
    first, here = at[0], sum(step.decades for step in at)
    zero = math.isinf(decades)
    yield Finding(
        *RULE,
        severity,
        "no gradient reaches the input: it becomes exactly zero on the trunk"
        if zero
        else f"the gradient loses {decades:.1f} decades on the trunk, from the loss to {trace.trunk.end if trace.trunk else ''}",
        location=first.location,
        module=first.module,
        label="makes it zero" if zero else _takes(-here, decades),
        evidence=(
            Evidence("decades lost on the trunk", decades, "decades", f"under {thresholds.DECADES_STALLED:g}"),
            Evidence("decades lost at this expression", -here, "decades", "near 0"),
        ),
        consequence=sentence(slowest(trace), outcome(trial)),
        cures=(
            CureRef("a residual span around the layers that shrink it", "residual"),
            CureRef("normalisation between them", "normalise"),
            CureRef("weights scaled so that each layer's gain is 1", "initialise"),
            CureRef("folded initialisation", "fold"),
        ),
        count=len(at),
        also=other_places(operation_of(trace, first)),
        explains=("SG105", "SG106"),
    )


def _takes(here: float, lost: float) -> str:
    if here > lost:
        return f"takes {here:.1f} decades, of which other steps give {here - lost:.1f} back"
    return f"takes {here:.1f} of the {lost:.1f} decades lost ({percent(here / lost)})"


def _gone(trial: StepTest, second: SecondLook) -> Finding:
    """There was a gradient before the steps, and there is none after them."""
    return Finding(
        *RULE,
        Severity.ERROR,
        f"{died_after(trial)}: every gradient is exactly zero",
        location=second.end_location,
        module=second.end_module,
        label="makes it zero" if second.end_name else "",
        evidence=(Evidence("steps with a gradient of exactly zero", float(second.silent_steps), "steps", "0"),),
        consequence=outcome(trial),
        cures=(CureRef("a smaller learning rate"), CureRef("gradients clipped by their norm before each step")),
        explains=("SG105", "SG106"),
    )
