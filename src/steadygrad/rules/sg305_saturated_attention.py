"""Attention attends to one position only: its softmax is saturated.

## What it measures

The mean entropy of attention weights, as a share of the greatest possible, on a sample of rows:

    H = -Σ_j p_j log p_j ÷ log(keys)        1 = equal weights, 0 = all weight on one position

The probe measures it in `F.scaled_dot_product_attention`, in the calls inside `nn.MultiheadAttention`, and in any softmax
over a tensor of three or more dimensions. The finding stands at the first saturated attention:

- If the step test does not learn, or learns slowly, one attention below 0.2 raises the finding. It is an error if the loss
  stands still or bounces, or still learns slowly after several hundred steps. Else it is a warning.
- If the model learns one batch, one attention below 0.12 is a warning: a batch can be learned by heart with saturated
  attention.
- If the model learns fresh batches, or there is no step test, it is a warning where most of the model's attention is below
  0.12.

## Why it matters

The derivative of p = softmax(z) is diag(p) - p pᵀ. For a one-hot p it is 0, and neither query nor key gets a gradient. The
first weights choose the position at random, and training never revises the choice. The logits q·k are sums over d products.
Without the division by √d, or with weights too large, their standard deviation is far above 1 from the start.

## Example

Query and key weights drawn from N(0, 1), whatever the fan-in: the logits are in the hundreds in spite of the 1/√d.

```python
import torch
from torch import nn


class Pooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(32, 32), nn.Linear(32, 32)
        self.head = nn.Linear(32, 2)
        for fc in (self.query, self.key):
            nn.init.normal_(fc.weight)

    def forward(self, x):
        logits = self.query(x[:, :1]) @ self.key(x).mT / 32**0.5
        weights = torch.softmax(logits, dim=-1)
        #         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG305
        return self.head((weights @ x).squeeze(1))


def setup():
    torch.manual_seed(0)
    y = torch.randint(2, (2048,))
    x = torch.randn(2048, 64, 32) + 0.05 * torch.randn(2, 32)[y][:, None]
    model = Pooling()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

Weights of variance 1/fan-in, whose logits are near N(0, 1):

```python
import torch
from torch import nn


class Pooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(32, 32), nn.Linear(32, 32)
        self.head = nn.Linear(32, 2)
        for fc in (self.query, self.key):
            nn.init.xavier_normal_(fc.weight)

    def forward(self, x):
        logits = self.query(x[:, :1]) @ self.key(x).mT / 32**0.5
        weights = torch.softmax(logits, dim=-1)
        return self.head((weights @ x).squeeze(1))


def setup():
    torch.manual_seed(0)
    y = torch.randint(2, (2048,))
    x = torch.randn(2048, 64, 32) + 0.05 * torch.randn(2, 32)[y][:, None]
    model = Pooling()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Logits divided by √(head dimension)*: one expression; changes the function, so use it before training.
- *QK-norm* (queries and keys normalised before the product): bounds the logits also later in training; new parameters
  if the norm has a learned scale.
- *Smaller initial weights of query and key*: changes numbers only, before training.
- *A smaller learning rate, or warm-up*, where the entropy is high at the start and collapses in training.

## When it is wrong

- Attention may be sharp by design (pointers, retrieval, hashing), or because the model is trained and right.
- Keys that a mask shuts out with -1e8 or less do not count. Other masks lower the entropy without saturation.
- A softmax over three dimensions need not be attention: a sure per-pixel or per-token answer looks the same.

## Where the threshold comes from

`ENTROPY = 0.2`: healthy architectures at initialisation lie well above, set-ups with oversized logits below. `SHUT = 0.12`
where the model learns: of 570 calibration rows that train on one batch two have such a layer. Fitted on the truth table by
`python -m bench.calibrate`.

## References

- Vaswani et al. 2017, *Attention Is All You Need*, section 3.2.1 and its footnote (why the logits are divided by √d).
- Zhai et al. 2023, *Stabilizing Transformer Training by Preventing Attention Entropy Collapse*.
- Henry, Dachapally, Pawar & Chen 2020, *Query-Key Normalization for Transformers*.
- Dehghani et al. 2023, *Scaling Vision Transformers to 22 Billion Parameters*, section 2 (QK-norm).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG305", "saturated-attention"

# bench.calibrate --quantities, mean entropy of the attention weights ÷ log(keys), least of the model. 34 set-ups that train:
# 5 % below 0.89, the least 0.39 (ALiBi); five whose logits were made too large: at most 0.034.
ENTROPY = 0.2
SHUT = 0.12
"""Where the loss falls, a warning if most of the model's attention is below this: a batch can be learned by heart, but
which position to look at cannot be learned any more. On one batch one such layer is enough: of 570 calibration rows that train
two have one, and in both it is most of them."""


def _hopeless(trial: StepTest | None) -> bool:
    """Whether it does not learn, or hardly does after several hundred steps."""
    now = progress(trial)
    slow = now is Progress.SLOW and trial is not None and trial.hundred is not None
    return slow or now in (Progress.STALLED, Progress.BOUNCES)


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first saturated attention."""
    looks = [o for o in trace.operations if o.attention_entropy is not None and o.module_type]
    learns = progress(trial) in (Progress.LEARNS, Progress.UNKNOWN)
    sick = [o for o in looks if (o.attention_entropy or 0.0) < (SHUT if learns else ENTROPY)]
    by_heart = trial is not None and trial.unseen is None
    if not sick or (learns and not by_heart and len(sick) <= len(looks) / 2):
        return
    first = sick[0]
    proof = [
        Evidence(
            "entropy of the attention weights", first.attention_entropy or 0.0, "of log(keys)", f"over {ENTROPY:g}"
        )
    ]
    if first.attention_logit_std is not None and math.isfinite(first.attention_logit_std):
        proof.append(Evidence("standard deviation of the logits", first.attention_logit_std, "absolute", "near 1"))
    yield Finding(
        *RULE,
        Severity.ERROR if _hopeless(trial) else Severity.WARNING,
        f"attention is saturated: its weights have {number(first.attention_entropy or 0.0, 2)} of the entropy of equal weights",
        location=first.location,
        module=first.module,
        label="one position takes nearly all of the weight",
        evidence=tuple(proof),
        consequence=outcome(trial),
        cures=(
            CureRef("logits divided by √(head dimension)"),
            CureRef("smaller query weights", "attention-scale"),
            CureRef("QK-norm", "qk-norm"),
        ),
        count=len(sick),
        also=other_places(first),
        explains=("SG101", "SG105", "SG106", "SG201", "SG204", "SG205"),
    )
