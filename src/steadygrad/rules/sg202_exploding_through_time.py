"""A recurrence multiplies the gradient at every step back in time.

## What it measures

The gain of one step of a recurrence. A recurrence is a fused module (`nn.RNN`, `nn.LSTM`, `nn.GRU`) or a loop over the same
weights. The probe puts a gradient of norm 1 on the *last* step alone and follows it back. It fits a line to log10 of the norm
over the steps. The slope is the decades gained per step; times (steps - 1) it is the decades gained over the sequence. The
loss plays no part: a loss over every step would hide what happens between distant steps. The trunk judges recurrences of
fewer than eight steps. The finding is an error if the step test does not learn, and a warning if it learns slowly.

## Why it matters

The gradient from step T to step t is a product of T - t Jacobians of the same cell:

    ∂h_T/∂h_t = ∏ diag(φ′(a_k)) W

Let γ be the greatest slope of φ. The product can grow only if the greatest singular value of W exceeds 1/γ. It then grows
exponentially with the length: a net that trains on short sequences diverges on long ones.

## Example

A ReLU recurrence whose matrix stretches every direction 2.5-fold. ReLU cuts off half of the units; the gradient through the
others still grows at each of the 30 steps:

```python
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, nonlinearity="relu", batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=2.5)
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        hidden, _ = self.rnn(x)
        #           ^^^^^^^^^^^ SG202
        return self.head(hidden[:, -1])


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 30, 4)
    y = (x[:, -1] @ torch.randn(4, 3)).argmax(1)
    model = Recurrent()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

An orthogonal recurrence of gain 1, which keeps norms:

```python
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, nonlinearity="relu", batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=1.0)
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        hidden, _ = self.rnn(x)
        return self.head(hidden[:, -1])


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 30, 4)
    y = (x[:, -1] @ torch.randn(4, 3)).argmax(1)
    model = Recurrent()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Orthogonal (or identity) recurrence, gain 1*: changes numbers only, before training.
- *In a loop h + f(h), the last weights of f scaled down*: changes numbers only, before training.
- *Recurrent weights divided by their spectral norm*: changes numbers only; under trained weights it changes what the
  net computes. `torch.nn.utils.parametrizations.spectral_norm` keeps the bound while training, with new keys.
- *A gated cell*: another module, other keys; train again.
- *Clipping by norm* bounds the update. It is right where the gradient explodes now and then. It does not mend a gain above
  1 at every step.

## When it is wrong

- The slope is measured on this batch. A squashing recurrence may be quiet here and explode for other inputs, or the reverse.
- Over a long sequence a gain barely above 1 reaches the threshold. If the answer depends on recent steps only, truncated
  backpropagation is a cure as well.
- Packed sequences and recurrences under `torch.jit.script` are not followed.

## Where the threshold comes from

`DECADES_GAINED = 4.0`, over the whole sequence: recurrences that train gain nothing, those that diverge 16 and 21.
Fitted on the truth table by `python -m bench.calibrate`. A recurrence that learns gets no finding, unless a hundred steps on
fresh batches go by before the loss has come down to that of the mean answer: then it is a warning.

## References

- Pascanu, Mikolov & Bengio 2013, *On the difficulty of training recurrent neural networks*, section 2.1 (the bound) and
  3.2 (clipping by norm).
- Bengio, Simard & Frasconi 1994, *Learning Long-Term Dependencies with Gradient Descent is Difficult*.
- Le, Jaitly & Hinton 2015, *A Simple Way to Initialize Recurrent Networks of Rectified Linear Units*.
- Saxe, McClelland & Ganguli 2014, *Exact solutions to the nonlinear dynamics of learning in deep linear neural networks*.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.plateau import came_late
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG202", "exploding-through-time"

# bench.calibrate --quantities, decades gained from the last step to the first. 23 recurrences that train: none gains; those
# that diverge: 16 and 21. 4 is a factor of 10,000 between the ends of one sequence.
DECADES_GAINED = 4.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the recurrence that gains most."""
    sick = [one for one in trace.recurrences if one.decades >= DECADES_GAINED]
    learns = progress(trial) is Progress.LEARNS
    if not sick or (learns and not came_late(trial)):
        return
    worst = max(sick, key=lambda one: one.decades)
    yield Finding(
        *RULE,
        Severity.WARNING if learns or progress(trial) is Progress.SLOW else Severity.ERROR,
        f"the gradient grows {number(10**worst.decades_per_step, 2)}-fold at each of {worst.steps} steps back in time",
        location=worst.location,
        module=worst.name,
        label=f"{worst.decades:.1f} decades from the last step to the first",
        evidence=(
            Evidence(
                "decades gained per step",
                worst.decades_per_step,
                "decades",
                f"under {number(DECADES_GAINED / worst.steps, 2)}",
            ),
            Evidence("decades gained over the sequence", worst.decades, "decades", f"under {DECADES_GAINED:g}"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("orthogonal recurrence", "recurrent"),
            CureRef("in a loop h + f(h), the last weights of f scaled down", "depth-scale"),
            CureRef("recurrent weights divided by their spectral norm"),
            CureRef("clipping by norm: it bounds the update and does not mend the product", "clip-norm"),
        ),
        count=len(sick),
        explains=("SG102", "SG201", "SG204", "SG205", "SG301", "SG106", "SG105"),
    )
