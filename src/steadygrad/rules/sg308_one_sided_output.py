"""A rectifier cuts the outputs off at zero in front of a loss that takes logits, or of targets below zero.

## What it measures

The input of the loss, past views and reshapes. The finding is raised where `relu`, `relu6`, `softplus`, `abs`, `square`,
`exp` or a clamp at a number not below 0 goes straight into `cross_entropy`, `log_softmax`,
`binary_cross_entropy_with_logits`, `multi_margin_loss` or another loss that takes logits. It is also raised in front of a
regression's loss (`mse_loss`, `l1_loss`, a difference that is squared and averaged) if some targets are below 0. Under a
binary loss it is an error: no answer can be below one half. Elsewhere it is an error where the step test stands still or
bounces, else a warning.

## Why it matters

A logit is a log-odds and takes both signs. Behind a ReLU it is at least 0, so a binary loss never gets below
log(2) = 0.693 on a sample of class 0. With several classes the model cannot push the wrong ones below 0. A class whose logit
is cut off on every sample gets no gradient and stays off.

## Example

A ReLU after the last layer:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(16, 64)
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        x = torch.relu(self.hidden(x))
        return torch.relu(self.head(x))
        #      ^^^^^^^^^^^^^^^^^^^^^^^^ SG308


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x[:, :1] > 0).float()
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.BCEWithLogitsLoss(), optimizer
```

## Use instead

The last layer's output as it is.

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(16, 64)
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x)))


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x[:, :1] > 0).float()
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.BCEWithLogitsLoss(), optimizer
```

## Cures and their safety

- *The model without the rectifier*: parameters and keys stay (in an `nn.Sequential`, later indices move). Answers may then be
  negative, as logits are.

## When it is wrong

- Non-negative logits may be meant, as with counts that act as evidence. Add an ignore comment there.
- Any operation between rectifier and loss other than a view (a scale, an average of heads) hides the rectifier.

## Where the threshold comes from

The wiring alone decides. `FEW`, a share of negative targets, only keeps noise around 0 out.

## References

- Goodfellow, Bengio & Courville 2016, *Deep Learning*, section 6.2.2 (output units).
- PyTorch, `torch.nn.CrossEntropyLoss`: "the input is expected to contain the unnormalized logits".
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.comparing import compares
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress
from steadygrad.rules.read_trunk import feeding

RULE = "SG308", "one-sided-output"

ONE_SIDED = frozenset(["relu", "relu6", "softplus", "abs", "square", "exp", "clamp_min"])
BINARY = frozenset(["binary_cross_entropy_with_logits", "soft_margin_loss"])
FEW = 0.01
"""Share of negative targets under which a few may be noise around 0."""
TAKES_LOGITS = BINARY | frozenset(["cross_entropy", "multi_margin_loss", "multilabel_soft_margin_loss", "log_softmax"])


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the rectifier to be taken out."""
    for loss in trace.operations:
        logits = loss.name in TAKES_LOGITS and (loss.name != "log_softmax" or loss.index >= len(trace.operations) - 4)
        negative = loss.target.negative if loss.target is not None and compares(trace, loss) else 0.0
        if not logits and negative < FEW:
            continue
        cut = feeding(trace, loss)
        if cut is None or cut.name.rstrip("_") not in ONE_SIDED:
            continue
        name = cut.name.rstrip("_")
        if not logits:
            why = f"{name} returns nothing below 0, but {percent(negative)} of the targets are negative"
        else:
            why = f"{name} stands in front of {loss.name}, which takes logits of both signs: no logit can be below 0"
        stands = progress(trial) in (Progress.STALLED, Progress.BOUNCES)
        yield Finding(
            *RULE,
            Severity.ERROR if stands or loss.name in BINARY else Severity.WARNING,
            why,
            location=cut.location,
            module=cut.module,
            label="give the loss the input of this",
            evidence=(
                Evidence(
                    "mean of what the loss gets", cut.output.mean if cut.output else float("nan"), "absolute", "near 0"
                ),
            ),
            consequence=outcome(trial),
            cures=(
                CureRef(
                    f"leaving {name} out: the last layer's output is {'the logit' if logits else 'the prediction'}"
                ),
            ),
            also=other_places(cut),
            explains=("SG101", "SG105", "SG106", "SG109"),
        )
        return
