"""The head's weights are far larger than those of the layers before it: the loss begins far above that of equal logits.

## What it measures

A net that knows nothing gives all classes about the same logit, and its cross-entropy is then log(classes). The probe reads
three numbers off the first pass, and the step test a fourth:

- the loss ÷ log(classes);
- the *gain* of the head: the root mean square of its weights times √fan-in. It is the factor on an input of size 1;
- the median gain of the other weight matrices;
- how far the first update moves the head and the others, as a share of their size.

The finding is raised if the loss begins at more than `TIMES` of log(classes), and the gain of the head is over `GAIN` and more
than `BEYOND` of the others' median. It stands at the call that makes the logits. The rule looks at the mean of a
cross-entropy over classes, and at no other loss. Where the steps of the step test already take the loss below log(classes), or
none are taken, it is a note and changes no verdict.

## Why it matters

The model is sure of wrong answers before its first step. The gradient of a softmax that is sure depends on a few classes. The
first hundreds of steps only make the logits smaller. Adam moves each weight by about the rate: a head whose weights
are fifty times too large moves fifty times slower, by its size, than the other layers. Where a table is both embedding and
head, its own token gets the largest logit, so that the model begins as the identity.

## Example

The table of an embedding is the head as well, and has the standard deviation 1 of `nn.Embedding`. A head needs 1/√width:

```python
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self, words=64, width=64):
        super().__init__()
        self.table = nn.Embedding(words, width)
        self.fc = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        x = self.table(ids)
        x = self.norm(x + torch.relu(self.fc(x)))
        return nn.functional.linear(x, self.table.weight)
        #      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG312


def setup():
    torch.manual_seed(0)
    ids = torch.randint(0, 64, (512,))
    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch = ids, (7 * ids + 3) % 64
    return model, batch, nn.functional.cross_entropy, optimizer
```

## Use instead

```python
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self, words=64, width=64):
        super().__init__()
        self.table = nn.Embedding(words, width)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.fc = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        x = self.table(ids)
        x = self.norm(x + torch.relu(self.fc(x)))
        return nn.functional.linear(x, self.table.weight)


def setup():
    torch.manual_seed(0)
    ids = torch.randint(0, 64, (512,))
    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch = ids, (7 * ids + 3) % 64
    return model, batch, nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Weights of standard deviation 1/√fan-in or less* (0.02 in GPT-2): changes numbers only, before training.
- *A factor 1/√width on the input of a tied head*, as in T5: keeps the table as it is. It changes what a trained model computes.

## When it is wrong

- A trained model that sees data of another kind may begin at such a loss. Its head is then rarely this much larger than the
  other layers. Ignore the rule there.
- A large embedding without a tie is no disease that this rule reports: tables of standard deviation 1, 8 and 30, and of 1e-4,
  train as well as one of 0.02 behind a pre-norm trunk.

## Where the threshold comes from

`TIMES`, `GAIN` and `BEYOND` stand in the rule's file beside their measurement.

## References

- Vaswani et al. 2017, *Attention Is All You Need*, section 3.4 (one matrix for embedding and head, and √width).
- Press & Wolf 2017, *Using the Output Embedding to Improve Language Models*.
- Raffel et al. 2020, *Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer* (the factor 1/√width).
- Yang et al. 2022, *Tensor Programs V*, table 3 (the scales of input, hidden and output weights).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Operation, Parameter, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places, sentence
from steadygrad.rules.read_steptest import outcome
from steadygrad.rules.read_trunk import feeding

RULE = "SG312", "oversized-head"

# Loss before the first step ÷ log(classes). Pre-norm transformers of 64 and 192 wide with 96 words, head or tied table drawn with
# standard deviations from 0.02 to 1, under Adam at 1e-3 and 3e-3 and SGD at 0.1 with momentum, 200 steps: up to 2.5 they end at
# most 0.3 above the best table's loss; from 4.2 on all end 0.3 to 1.9 above it. Seen on others:
# tests/rules/test_oversized_head.py, and 157 published architectures (``bench.healthy``): of mt5, whose table is tied and drawn
# with 1, it is a note, since 30 steps take the loss from 16.8 to 2.2 of log(40) = 3.7.
TIMES = 3.0

# Root mean square of the head's weights × √fan-in: 0.6 for torch's layers, 1.4 for He's; in the nets above 2.4 and more.
GAIN = 2.0

# The same ÷ the median of the other matrices. In the nets above 14 and more. Where all weights are too large it is about 1, and
# SG205 or SG301 reports it.
BEYOND = 3.0

# A mean over samples gives the logits a gradient of √2 at most. A sum gives more, and its value is none to compare.
OF_A_MEAN = 2**0.5
WHOLE = 1e-3
"""Decades from 1 of the gradient that reaches the cross-entropy, up to which it is the loss itself and not scaled."""


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the call that makes the logits."""
    logits = _logits(trace)
    head = _head(trace, logits) if logits is not None else None
    weight = next((one for one in trace.parameters if head is not None and one.name == head.weight), None)
    if logits is None or head is None or weight is None:
        return
    others, times = [one for one in _matrices(trace) if one is not weight], trace.loss / math.log(_classes(logits))
    if not others or not TIMES < times < math.inf:
        return
    gain, usual = _gain(weight, head.fan_in), median(_gain(one) for one in others)
    if gain <= GAIN or gain <= BEYOND * usual:
        return
    yield Finding(
        *RULE,
        Severity.INFO if trial is None or _came_down(trial, math.log(_classes(logits))) else Severity.WARNING,
        f"the loss begins at {number(times, 2)} times that of equal logits: {weight.name} has weights {number(gain / usual, 2)} "
        "times as large for their fan-in as the other layers",
        location=head.location,
        module=head.module,
        label="the head's weights make the logits this large",
        evidence=(
            Evidence("loss before the first step ÷ log(classes)", times, "ratio", f"near 1, under {TIMES:g}"),
            Evidence("gain of the head: rms of its weights × √fan-in", gain, "ratio", f"at most {GAIN:g}"),
            Evidence("median gain of the other matrices", usual, "ratio", "about the head's"),
        ),
        consequence=sentence(_slower(weight, others), outcome(trial)),
        cures=(
            CureRef(f"weights of standard deviation {number((head.fan_in or 1) ** -0.5, 2)} (1/√fan-in) or less"),
            CureRef("a factor 1/√width on the input of a tied head"),
        ),
        also=other_places(head),
    )


def _came_down(trial: StepTest, equal: float) -> bool:
    """Whether the steps already took the loss below that of equal logits."""
    after = trial.losses[-1] if trial.unseen is None else trial.unseen.after
    return after < equal


def _logits(trace: Trace) -> Operation | None:
    """What the mean cross-entropy over classes takes that is the whole loss; None where the loss is another."""
    losses = [one for one in trace.operations if one.kind == "loss" and one.name != "log_softmax"]
    if len(losses) != 1 or losses[0].name not in ("cross_entropy", "nll_loss") or not losses[0].parents:
        return None
    coefficient, direct = losses[0].log10_gradient, trace.operations[losses[0].parents[0]]
    if coefficient is None or abs(coefficient) > WHOLE:
        return None
    if direct.name == "log_softmax" and direct.parents:
        direct = trace.operations[direct.parents[0]]
    if direct.log10_gradient is None or direct.log10_gradient > math.log10(OF_A_MEAN):
        return None
    return direct if len(direct.output_shape) > 1 and _classes(direct) > 1 else None


def _classes(logits: Operation) -> int:
    """How many there are: the classes lie last in a matrix, else second."""
    return logits.output_shape[-1 if len(logits.output_shape) == 2 else 1]


def _head(trace: Trace, logits: Operation) -> Operation | None:
    """The layer that makes the logits, past views, sums and factors."""
    found: Operation | None = logits
    while found is not None and found.kind in ("shape", "arithmetic"):
        found = feeding(trace, found)
    return found if found is not None and found.kind == "linear" and found.weight else None


def _matrices(trace: Trace) -> list[Parameter]:
    """Weights that are multiplied by, embeddings left out."""
    multiplied = {one.weight for one in trace.operations if one.kind == "linear"}
    return [one for one in trace.parameters if one.name in multiplied and len(one.shape) > 1 and one.norm > 0]


def _gain(weight: Parameter, fan_in: int | None = None) -> float:
    """Root mean square of the weights × √fan-in."""
    size = math.prod(weight.shape)
    return weight.norm * math.sqrt((fan_in or size / weight.shape[0]) / size)


def _slower(weight: Parameter, others: list[Parameter]) -> str:
    """How far the first update moves the head against the others, in words."""
    moved = [one.update_ratio for one in others if one.update_ratio]
    if not moved or not weight.update_ratio or weight.update_ratio >= median(moved):
        return ""
    return f"the first step moves it by {number(weight.update_ratio, 2)} of its size, the others by {number(median(moved), 2)}"
