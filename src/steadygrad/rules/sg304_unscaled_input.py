"""The input's scale drives the first layers out of their working range.

## What it measures

Mean and standard deviation of the model's first floating-point input, over the whole batch and all features. The finding is
raised if either is large, or both are small, and the first layer with weights has no normalisation in front of it. It is an
error if the step test does not learn. It is a warning if the model learns slowly, if a huge input is learned all the same, or
if the input is small. It stands at that first layer. The evidence shows the share of saturated units in the activation behind
the layer.

## Why it matters

The first layer's pre-activations have the scale of the input. Squashing units saturate, and ReLU units are on or off
for every sample alike. The input also multiplies the gradient of the first weights, so the curvature grows with the
*square* of the scale. A rate that this layer bears is far too small for all others. A mean far from 0 does the same in
the one direction that all samples share. An input a thousand times too small drowns in the biases: every sample gets
nearly the same answer, and the first weights get a gradient as small as the input.

## Example

Chemical measurements as they come, some below 1 and one above 1,000:

```python
import torch
from sklearn.datasets import load_wine
from torch import nn


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(13, 64), nn.Linear(64, 3)

    def forward(self, x):
        x = torch.relu(self.fc(x))
        #              ^^^^^^^^^^ SG304
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x, y = load_wine(return_X_y=True)
    x, y = torch.tensor(x).float(), torch.tensor(y)
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

Each feature standardised (with mean and standard deviation of the training set):

```python
import torch
from sklearn.datasets import load_wine
from torch import nn


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(13, 64), nn.Linear(64, 3)

    def forward(self, x):
        x = torch.relu(self.fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x, y = load_wine(return_X_y=True)
    x, y = torch.tensor(x).float(), torch.tensor(y)
    x = (x - x.mean(0)) / x.std(0)
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Standardising the input*: leaves the model as it is. Apply the same numbers, from the training set, at inference.
  It changes the input of a trained model, so train again.
- *Batch norm as the first layer*: learns the statistics by itself and carries them in the `state_dict` (new keys). Not
  for tiny batches (SG302).
- *Smaller weights in the first layer*: mends the forward pass and not the gradient.

## When it is wrong

- The rule measures all features together: one feature among hundreds may be off without showing.
- Categories or token ids that reach the model as floats are no measurements: they need an embedding.
- The rule does not recognise a normalisation written by hand inside the model (`x / 255`). It then judges the raw input. It
  reports nothing if the model learns and the input is not huge.

## Where the threshold comes from

`LARGE = 20.0` for the standard deviation and |mean|: healthy set-ups, raw grey levels of digits among them, lie below;
set-ups that fail by their input lie above. From `HUGE = 2000` up a learned batch proves nothing. Below `SMALL = 0.003` the
rule reports only a model that learns nothing. `SATURATED = 0.5` decides only how the finding is worded. Fitted on the truth
table by `python -m bench.calibrate`.

## References

- LeCun, Bottou, Orr & Müller 1998, *Efficient BackProp*, section 4.3 (normalizing the inputs).
- LeCun, Kanter & Solla 1991, *Eigenvalues of covariance matrices: Application to neural-network learning* (a mean off 0
  makes one curvature grow with the number of inputs).
- Goodfellow, Bengio & Courville 2016, *Deep Learning*, section 8.2.1 (ill-conditioning).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG304", "unscaled-input"

# bench.calibrate --quantities, standard deviation or |mean| of the input. 193 set-ups that train: 95 % at most 1.01, the
# greatest 97 (and learns); sick by their input: median 1,000.
LARGE = 20.0
HUGE = 2000
"""A warning even where the batch is learned by heart: no layer made for N(0, 1) sees more than the sign of such numbers."""

SMALL = 0.003
"""Raised only where nothing is learned; standardised, the same two nets train."""

SATURATED = 0.5


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first operation that suffers from it."""
    mean, std = trace.input_mean, trace.input_std
    now = progress(trial)
    if mean is None or std is None or now is Progress.UNKNOWN:
        return
    size = max(abs(mean), std)
    small = 0 < size <= SMALL and now is Progress.STALLED
    if not small and size < (HUGE if now is Progress.LEARNS else LARGE):
        return
    first = _first_layer(trace)
    if first is None:
        return
    after = next(
        (o for o in trace.operations[first.index :] if o.kind == "activation" and o.saturation is not None), None
    )
    share = after.saturation.saturated_share if after is not None and after.saturation is not None else 0.0
    yield Finding(
        *RULE,
        Severity.WARNING if small or now in (Progress.SLOW, Progress.LEARNS) else Severity.ERROR,
        f"the input has standard deviation {number(std, 2)} around {number(mean, 2)}, where layers expect N(0, 1)",
        location=first.location,
        module=first.module,
        label=f"{percent(share)} of the units behind it are saturated"
        if share > SATURATED
        else "takes the input as it is",
        evidence=(
            Evidence("standard deviation of the input", std, "absolute", "near 1"),
            Evidence("mean of the input", mean, "absolute", "near 0"),
            Evidence("saturated units of the first activation", share, "share", f"under {percent(SATURATED)}"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("standardising the input: (x - mean) / std of the training set", "standardised-input"),
            CureRef("batch norm before the activations", "normalise"),
        ),
        also=other_places(first),
        explains=("SG102", "SG103", "SG104", "SG101", "SG201", "SG204", "SG205", "SG106", "SG105", "SG301"),
    )


def _first_layer(trace: Trace) -> Operation | None:
    """The first weighing layer, unless a normalisation comes before it."""
    for operation in trace.operations:
        if operation.kind == "normalisation":
            return None
        if operation.kind in ("linear", "recurrent"):
            return operation
    return None
