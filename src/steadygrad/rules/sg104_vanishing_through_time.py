"""A recurrence shrinks the gradient at every step back in time.

## What it measures

The gain of one step of a recurrence. A recurrence is a fused module (`nn.RNN`, `nn.LSTM`, `nn.GRU`), a loop over the same
weights, or an expression that carries a state along. The probe puts a gradient of norm 1 on the *last* step alone and
follows it back. It fits a line to log10 of the norm over the steps. The slope is the decades lost per step; times
(steps - 1) it is the decades lost over the sequence. The loss plays no part: a loss over every step would hide what
happens between distant steps.

The trunk judges recurrences of fewer than eight steps. It also judges a recurrence that loses `AT_ONCE` decades in a single
step, because an operation of that step is at fault. The finding is an error, and a warning where the first ten steps bring
the loss down.

## Why it matters

The gradient from step T to step t is a product of T - t Jacobians of the same cell:

    ∂h_T/∂h_t = ∏ diag(φ′(a_k)) W

At torch's default initialisation a tanh RNN, an LSTM and a GRU all lose about 0.2 decades a step. The gradient from 50
steps ago arrives ten decades smaller than that of the last step. The model never learns what happened then.

## Example

Which of four classes was shown at the first of 100 steps?

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        hidden, _ = self.rnn(x)
        #           ^^^^^^^^^^^ SG104
        return self.head(hidden[:, -1])


def setup():
    torch.manual_seed(0)
    y = torch.randint(4, (128,))
    x = 0.1 * torch.randn(128, 100, 4)
    x[:, 0] += nn.functional.one_hot(y, 4)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

The identity as recurrence, with ReLU: the state keeps what it holds.

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, nonlinearity="relu", batch_first=True)
        nn.init.eye_(self.rnn.weight_hh_l0)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        hidden, _ = self.rnn(x)
        return self.head(hidden[:, -1])


def setup():
    torch.manual_seed(0)
    y = torch.randint(4, (128,))
    x = 0.1 * torch.randn(128, 100, 4)
    x[:, 0] += nn.functional.one_hot(y, 4)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Orthogonal or identity recurrence*: changes numbers only, before training.
- *Forget-gate bias 1, or chrono initialisation, for an LSTM*: changes numbers only, before training.
- *A gated cell for a plain one*: another module, other keys; train again.
- *A skip through time, in a loop written by hand*: changes what the model computes; same keys.
- *Truncating the sequence*: gives up everything that lies further back.

## When it is wrong

- If the answer depends on recent steps only, a short memory is no fault. The loss then falls, and the finding is a warning.
  It is information where the model answers unseen batches well.
- The slope is that of this batch and these weights: gates move while training.
- Packed sequences and recurrences under `torch.jit.script` are not followed.

## Where the threshold comes from

`DECADES_LOST = 8` over the whole sequence: an orthogonal ReLU recurrence over 60 steps loses 7.4 and still remembers; most
recurrences that forget lose 10 and more. `DECADES_SUSPECT = 5`, a warning, where hundreds of steps on fresh batches teach
next to nothing. Fitted on the truth table by `python -m bench.calibrate`.

## References

- Bengio, Simard & Frasconi 1994, *Learning Long-Term Dependencies with Gradient Descent is Difficult*.
- Pascanu, Mikolov & Bengio 2013, *On the difficulty of training recurrent neural networks*, section 2.1.
- Le, Jaitly & Hinton 2015, *A Simple Way to Initialize Recurrent Networks of Rectified Linear Units*.
- Tallec & Ollivier 2018, *Can recurrent neural networks warp time?* (chrono initialisation).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Recurrence, Severity, StepTest, Trace
from steadygrad.rules.findings import sentence
from steadygrad.rules.plateau import ENOUGH, hardly_learns
from steadygrad.rules.read_steptest import Progress, at_first, informed_fall, outcome
from steadygrad.rules.read_trunk import vanishing

RULE = "SG104", "vanishing-through-time"

# bench.calibrate --quantities, decades lost from the last step to the first. 23 recurrences that train: at most 7.4
# (orthogonal ReLU over 60 steps); eleven that were seen to forget: 10.4 to 63.
DECADES_LOST = 8

# The same where after hundreds of steps on fresh batches next to nothing was learned, a warning. Calibration rows of which that
# is all there is to tell: two that forget lose 5.4 and 6.0, those that train or fail for another reason at most 4.1.
DECADES_SUSPECT = 5

AT_ONCE = 3
"""Decades that one step alone takes where its own operations are at fault (a clamp, a factor), which the trunk names: what a
thousandth of arrives at the step before is not forgotten over time."""


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the recurrence that loses most."""
    least = DECADES_SUSPECT if trial is not None and hardly_learns(trial) else DECADES_LOST
    sick = [one for one in trace.recurrences if one.decades <= -least]
    at_once = [one for one in sick if one.decades_per_step <= -AT_ONCE]
    if not sick or (at_once == sick and vanishing(trace, trial) is not None):
        return
    worst = min(sick, key=lambda one: one.decades)
    yield Finding(
        *RULE,
        _severity(trial) if -worst.decades >= DECADES_LOST else Severity.WARNING,
        f"the gradient loses {number(-worst.decades_per_step, 2)} decades at each of {worst.steps} steps back in time",
        location=worst.location,
        module=worst.name,
        label=f"{-worst.decades:.1f} decades from the last step to the first",
        evidence=(
            Evidence(
                "decades lost per step",
                -worst.decades_per_step,
                "decades",
                f"under {number(DECADES_LOST / worst.steps, 2)}",
            ),
            Evidence("decades lost over the sequence", -worst.decades, "decades", f"under {DECADES_LOST:g}"),
            Evidence("steps", float(worst.steps), "steps", ""),
        ),
        consequence=sentence(f"what happened {_reach(worst)} steps ago moves no weight", outcome(trial)),
        cures=(
            CureRef("orthogonal or identity recurrence", "recurrent"),
            CureRef("forget-gate biases for long memories, in an LSTM or GRU", "chrono"),
            CureRef("a gated cell for a plain one", "gated-cell"),
            CureRef("a skip through time, around a loop written by hand", "through-time"),
            CureRef("truncating the sequence"),
        ),
        count=len(sick),
        explains=("SG101", "SG102", "SG103", "SG105", "SG106", "SG301"),
    )


def _reach(recurrence: Recurrence) -> int:
    """Steps after which three decades are gone."""
    return max(1, min(recurrence.steps, round(3.0 / -recurrence.decades_per_step)))


def _severity(trial: StepTest | None) -> Severity:
    """Nothing but information where the answers to unseen batches are good: then the memory that is there is enough."""
    if trial is not None and trial.unseen is not None and informed_fall(trial) >= ENOUGH:
        return Severity.INFO
    return Severity.WARNING if at_first(trial) is Progress.LEARNS else Severity.ERROR
