"""The loss has the wrong sign; in training, it leaps, runs away, or stands still while all outputs are alike.

## What it measures

A guard watches the loss of every step: the number that `loss.backward()` starts from, without a gradient scaler's factor,
summed over the backward passes of one step. `guard.record_loss(loss)` gives another number in its place. A loss may have any
sign and scale, so the guard compares it with its own past, never with a constant:

- *It leaps*: one loss exceeds the greatest so far by three times the range of all, and by three times its size. Among the
  first ten losses the total gradient norm must leap as well. From the sixtieth loss on, the greatest of the last ten does not
  count: a loss that doubles at each step climbs and does not leap. A warning.
- *It runs away*: the median of 25 losses is far above the lowest such median of the run, two times in a row. Far is ten
  times the whole fall of the loss, and ten times its own size. An error.
- *It stands still*: in 200 steps no median of 25 losses is more than 4 % from the others, and the outputs of the model for
  different samples are alike: less than 1e-4 of their energy differs. 25 steps are enough if the loss has just risen above
  all of the 100 before and stays there. The alarm names the step at which the loss rises or begins to stand. An error.

A check measures which way the loss pushes log-probabilities (`log_softmax`, or `log` of a `softmax`). The sign is wrong if
the target's entry of each row gets a positive gradient, the same in all rows: the loss then falls as the likelihood of the
right answers falls. The finding is an error at the expression that makes the loss. The rule reports neither an entropy,
which reaches all entries, nor a policy loss, whose weights differ from sample to sample.

An infinite or NaN loss is SG203. Where the gradient leaps at the same step, the guard raises the alarm of the gradient (SG206
or SG201), with this code among its `symptoms`.

## Why it matters

Many losses have bounded derivatives: the L1 and Huber losses, and cross-entropy with respect to its logits. A target a
thousand times too large then makes the loss a thousand times larger and the gradient no larger. A watch on gradient norms
sees nothing. A loss that runs away shows a wrong sign or an unstable rate while all numbers are still finite. A loss that
stands still from the start, with outputs that do not depend on the input, shows a vanishing gradient: the model has learned
the mean of its targets, and no gradient reaches its first layers.

## Example

The targets of one batch are in millimetres, those of all others in metres. The Huber loss bounds each sample's gradient:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    guard = steadygrad.guard(net, optimizer)
    for step in range(200):
        x = torch.randn(64, 8)
        y = x.sum(1, keepdim=True)
        if step == 150:
            y = y * 1000
        loss = nn.functional.smooth_l1_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return guard
```

## Use instead

One unit for all targets:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    guard = steadygrad.guard(net, optimizer)
    for step in range(200):
        x = torch.randn(64, 8)
        y = x.sum(1, keepdim=True)
        if step == 150:
            y = y * 1000
        y = y / (1000 if y.abs().max() > 100 else 1)
        loss = nn.functional.smooth_l1_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return guard
```

## Cures and their safety

- *A minus sign* in front of a log-likelihood that is to grow, or `nll_loss`, which has it: the same loss with the right sign.
- *Looking at the batch and its targets* at the step that the alarm names. The alarm lists the rows of the batch without
  which the gradient norm is usual, where there are some.
- *A lower learning rate or a warm-up*, where the first sign is the rate or the update: `steadygrad lr` finds a rate. Safe.
- *`on_alarm="skip"`* leaves out the step of a leap, at most five times in a hundred steps. Safe. `rollback` returns to the
  weights before the leap, as runs of large language models do.
- *`steadygrad check`*, where the loss stands still: it names the layer that loses the gradient (SG101, SG102, SG105).
  `steadygrad cure` mends it.
- *A gradient clip* bounds the update of that step. It does not bound the loss, and it does not mend the batch.

## When it is wrong

- A model may lower a likelihood on purpose, to unlearn its targets or to confuse a judge: ignore the code for it.
- A loss may leap on purpose: a new task of a curriculum, a term that is switched on, a sum over a batch that varies in
  size. The alarm ends by itself when nothing leaps for a hundred steps.
- Where the model has learned nearly every sample, one hard sample of a small batch can be far above the last hundred losses.
- In adversarial training and reinforcement learning a rising loss is often right. Give `guard.record_loss` the number that is
  to fall.
- The guard compares the rows of the model's first output. Without a row for each sample, a loss that stands still raises no
  alarm. Where the output is the same for all samples by design, the alarm is wrong.
- Where several processes train one model, each judges and reports its own loss alone. None reports a loss that stands still.

## Where the threshold comes from

A sign needs none. `LEAP`, `CLIMB`, `ALONE`, `WITH_IT`, `AWAY`, `STILL`, `MOVED` and `SAME_ANSWER` stand in
`detect/losses.py`. `python -m bench.faults --distributions` prints for the healthy runs how far a loss rises above those
before it, how far its level rises, and how long it stands still. `python -m bench.faults --healthy` counts the alarms in
them.

## References

- Chowdhery et al. 2022, *PaLM*, arXiv:2204.02311, section 5.1: about twenty loss spikes in spite of clipping; a restart
  100 steps earlier without the next 200 to 500 batches.
- Wortsman et al. 2023, *Small-scale proxies for large-scale Transformer training instabilities*, arXiv:2309.14322.
- Huber 1964, *Robust estimation of a location parameter*: the loss whose derivative is bounded.
- Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, *Deep information propagation*, arXiv:1611.01232: where all inputs
  arrive at the same output, a net does not train.
- Karpathy 2019, *A recipe for training neural networks*: the loss of a model that does not see its input.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import outcome

RULE = "SG207", "failing-loss"


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the end of the loss, where every likelihood that it reaches is made smaller."""
    signs = [operation for operation in trace.operations if operation.likelihood is not None]
    if not signs or any(operation.likelihood != 1.0 for operation in signs):
        return
    end = next((one for one in reversed(trace.operations) if one.location is not None), signs[-1])
    yield Finding(
        *RULE,
        Severity.ERROR,
        "the loss falls as the likelihood of the targets falls: it has the wrong sign",
        location=end.location,
        module=end.module,
        label="a step makes the log-probabilities of the targets smaller",
        evidence=(Evidence("sign of the gradient at the targets' log-probabilities", 1.0, "sign", "-1"),),
        consequence=outcome(trial),
        cures=(CureRef("a minus sign in front of the log-likelihood, or torch.nn.functional.nll_loss"),),
        also=other_places(end),
        explains=("SG105", "SG106", "SG109", "SG201", "SG204"),
    )
