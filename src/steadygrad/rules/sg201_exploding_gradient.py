"""The gradient grows by many decades on its way from the loss to the input.

## What it measures

Decades gained along the trunk: log10 of the gradient norm at the model's input ÷ the norm at its output, the loss
function's own share left out. The trunk holds only the operations that every path from the loss to the input passes, so a
branch that is large by itself does not count. Gains multiply, so decades add:

    gained = Σ log10(‖gradient behind a step‖ ÷ ‖gradient in front of it‖)

The finding stands at the expression whose steps add most. A model that learns in the step test gets no finding under
`DECADES_AT_ONCE` decades. The finding is an error where the loss bounces, diverges or stands still, and where there is no
step test. Else it is a warning. It is also a warning where the loss begins far above that of one constant answer and comes
down most of the way.

## Why it matters

A weight's gradient is the arriving gradient times the activation in front of the layer. If it grows tenfold every few
layers, no single learning rate suits both ends: a rate that moves the last layers tears the first ones apart. The usual
cause is a sum `x + f(x)` that doubles the variance in each block, or a layer gain above 1 without normalisation.

## Example

A residual stack whose branches add as much variance as they receive. Each block multiplies the gradient by about √2:

```python
import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 64), nn.Linear(64, 4)
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(40))
        for fc in self.blocks:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")

    def forward(self, x):
        x = self.stem(x)
        for fc in self.blocks:
            x = x + fc(torch.relu(x))
            #   ^^^^^^^^^^^^^^^^^^^^^ SG201
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Residual()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

Branches scaled by 1/√blocks: the whole stack then multiplies by a constant, at any depth.

```python
import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 64), nn.Linear(64, 4)
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(40))
        for fc in self.blocks:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")

    def forward(self, x):
        x = self.stem(x)
        for fc in self.blocks:
            x = x + fc(torch.relu(x)) / len(self.blocks) ** 0.5
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Residual()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Branches scaled by 1/√blocks* (or a zero-initialised last weight in each): changes the function at initialisation, so it
  belongs before training. No new parameters; same `state_dict` keys.
- *Normalisation in each branch* (pre-norm): new parameters, new keys.
- *Weights scaled so that each layer's gain is 1* (He, Xavier, orthogonal, folded): changes numbers only.
- *Clipping* is safe to add and bounds the update. It does not mend a product over depth: the first layers still drown out the
  last. Keep it for spikes.

## When it is wrong

- On rows of zeros (padding) a normalisation's derivative is one over its epsilon. A gradient that grows there moves no
  weight: the rule reports nothing where the steps learn and no parameter's gradient grows.
- A scale-free optimizer at a small rate can train such a net, slower than ten steps show: check again with `--trial 100`.
- An input in tiny units gives a large gradient at the input alone. SG304 judges the input.
- The rule does not see gradients that explode within a branch.

## Where the threshold comes from

`DECADES_GAINED = 3.0` in `rules/thresholds.py`: nearly all set-ups that train gain less; set-ups that fail by explosion gain
3.3 to 35. A model that learns all the same gets no finding under `DECADES_AT_ONCE = 8.0`. Fitted on the truth table by
`python -m bench.calibrate`.

## References

- Zhang, Dauphin & Ma 2019, *Fixup Initialization: Residual Learning Without Normalization*, section 2 and equation 1.
- Hanin & Rolnick 2018, *How to Start Training: The Effect of Initialization and Architecture*, failure mode FM1.
- De & Smith 2020, *Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks*.
- Pascanu, Mikolov & Bengio 2013, *On the difficulty of training recurrent neural networks*, section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import other_places, sentence
from steadygrad.rules.plateau import comes_down
from steadygrad.rules.read_steptest import outcome
from steadygrad.rules.read_trunk import body, exploding, lost, main_place, net_body, operation_of

RULE = "SG201", "exploding-gradient"


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole trunk, at the place that adds most."""
    severity = exploding(trace, trial)
    if severity is None:
        return
    if comes_down(trial):
        severity = Severity.WARNING
    gained = -lost(trace, trial)
    growing = [step for step in net_body(trace) if step.decades > 0]
    # What grew only when the step test had opened a shut gate has no step here that grows.
    at = main_place(growing or body(trace))
    first, here = at[0], sum(step.decades for step in at)
    yield Finding(
        *RULE,
        severity,
        f"the gradient gains {gained:.1f} decades on the trunk, from the loss to {trace.trunk.end if trace.trunk else ''}",
        location=first.location,
        module=first.module,
        label=(f"adds {here:.1f} decades" + (f" in {len(at)} steps" if len(at) > 1 else "")) if growing else "",
        evidence=(
            Evidence("decades gained on the trunk", gained, "decades", f"under {thresholds.DECADES_GAINED:g}"),
            *([Evidence("decades gained at this expression", here, "decades", "near 0")] if growing else []),
        ),
        consequence=sentence(_greatest_update(trace), outcome(trial)),
        cures=(
            CureRef("branches scaled by 1/√blocks", "depth-scale"),
            CureRef("normalisation in each branch", "normalise"),
            CureRef("weights scaled so that each layer's gain is 1", "initialise"),
            CureRef("folded initialisation", "fold"),
            CureRef("clipping: it bounds the update and does not mend the product", "clipping"),
        ),
        count=len(at),
        also=other_places(operation_of(trace, first)),
        explains=("SG204", "SG205", "SG105", "SG106"),
    )


def _greatest_update(trace: Trace) -> str:
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    if not moved:
        return ""
    most = max(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    return (
        f"{most.name} moves by {number(most.update_ratio or 0.0, 2)} of its size in the first step"
        if (most.update_ratio or 0) > 0.1
        else ""
    )
