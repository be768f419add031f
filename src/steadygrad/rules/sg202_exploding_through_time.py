"""A recurrence multiplies the gradient at every step back in time.

## What it measures

The gain of one step of a recurrence, fused (`nn.RNN`, `nn.LSTM`, `nn.GRU`) or written as a loop over the same weights.
A gradient of norm 1 is laid on the *last* step alone and followed back; a line is fitted to log10 of its norm over the
steps back. Its slope is the decades gained per step; times (steps - 1), the decades over the sequence. The loss plays no
part, so one that looks at every step cannot hide what happens between distant ones. Recurrences of fewer than eight
steps are left to the trunk. Raised only if the step test did not learn; a warning where it learns slowly.

## Why it matters

The gradient from step T to step t is a product of T - t Jacobians of the same cell:

    ∂h_T/∂h_t = ∏ diag(φ′(a_k)) W

With γ the greatest slope of φ it can grow only if the greatest singular value of W exceeds 1/γ, and then it grows like
a power of the length: the same net that trains on short sequences diverges on long ones.

## Example

A ReLU recurrence whose matrix stretches every direction 2.5-fold; half of the units are cut off, and what is left
still grows at each of the 30 steps:

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
- *Recurrent weights divided by their spectral norm*: changes numbers only; under trained weights it changes what the
  net computes. `torch.nn.utils.parametrizations.spectral_norm` keeps the bound while training, with new keys.
- *A gated cell*: another module, other keys; to be trained anew.
- *Clipping by norm* bounds the update, and is right where the gradient explodes now and then; it does not mend a gain
  that is above 1 at every step.

## When it is wrong

- The slope is that of this batch: a squashing recurrence may be quiet here and explode for other inputs, or the reverse.
- A long sequence with a gain barely above 1 adds up to the threshold; if the answer depends on recent steps only,
  truncated backpropagation is as good a cure as any.
- Packed sequences and recurrences under `torch.jit.script` are not followed.

## Where the threshold comes from

`DECADES_GAINED = 4.0`, over the whole sequence: recurrences that train gain far less, those seen to diverge reach it.
Fitted on the truth table by `python -m bench.calibrate`.

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
from steadygrad.rules.read_steptest import Progress, outcome, progress

RULE = "SG202", "exploding-through-time"

# bench/thresholds.py, decades gained from the last step to the first. 23 recurrences that train: none gains; those that
# diverge: 16 and 21. 4 is a factor of 10,000 between the ends of one sequence.
DECADES_GAINED = 4.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the recurrence that gains most."""
    sick = [one for one in trace.recurrences if one.decades >= DECADES_GAINED]
    if not sick or progress(trial) is Progress.LEARNS:
        return
    worst = max(sick, key=lambda one: one.decades)
    yield Finding(
        *RULE,
        Severity.WARNING if progress(trial) is Progress.SLOW else Severity.ERROR,
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
            CureRef("recurrent weights divided by their spectral norm"),
            CureRef("clipping by norm, which bounds the update and does not mend the product", "clip-norm"),
        ),
        count=len(sick),
        explains=("SG102", "SG201", "SG204", "SG205", "SG301", "SG106", "SG105"),
    )
