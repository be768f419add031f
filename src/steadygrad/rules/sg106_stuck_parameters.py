"""The optimizer hardly moves the parameters, or moves them and the loss stays.

## What it measures

*Update ratio*: ‖first update by the real optimizer‖ ÷ ‖weight‖, matrix by matrix, from the step test. The finding is
raised in four cases, all but the last only where the loss stands still:

- no matrix moves by a noticeable share of its size (an error);
- a large part of the matrices gets a gradient and is held by the optimizer, yet does not move;
- the weights move, and the loss does not change;
- weight decay's part of the first update outweighs the gradient's (an error where the loss does not fall either).

The finding stands at the expression that makes the optimizer. Where one expression of the loss makes every gradient small,
it stands there.

## Why it matters

SGD's update is rate × gradient, so a small gradient times a small rate is no update. Adam's update has about the size of the
rate in every coordinate, unless the gradient is below its ε. A healthy run moves its weights by about 1e-3 of their size a
step. At 1e-6 it takes a million steps to change a weight by its own size.

## Example

```python
import torch
from torch import nn


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    #           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG106
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

```python
import torch
from torch import nn


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A learning rate found by the step test*: changes one number and not the model. Safe.
- *Adam in place of SGD*, because Adam is scale-free: safe before training; needs two more numbers per parameter.
- *A smaller eps of Adam*: safe. Where eps is above the size of the gradients, the steps shrink with them, as SGD's do.
- *Less weight decay, or AdamW's decoupled one in place of Adam's*: safe.

## When it is wrong

- A schedule may begin at rate 0 (warm-up). The check takes that rate: step the schedule once, or pass the optimizer without
  it.
- The loss of a model at its optimum rightly stands still.
- Ten steps on a long plateau look like stuck weights: check again with `--trial 100`.

## Where the threshold comes from

`UPDATE`, `FLAT` (`FLAT_LATE` after a hundred steps) and what was measured for them stand in the rule's file, `DECAY` in
`rules/thresholds.py`. Fitted on the truth table by `python -m bench.calibrate`.

## References

- LeCun, Bottou, Orr & Müller 1998, *Efficient BackProp*, section 4.7 (learning rates by layer).
- Kingma & Ba 2015, *Adam: A Method for Stochastic Optimization*, section 2.1 (the size of a step).
- You, Gitman & Ginsburg 2017, *Large Batch Training of Convolutional Networks* (the ratio of weight to update).
- Loshchilov & Hutter 2019, *Decoupled Weight Decay Regularization*, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, Location, Parameter, Severity, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import sentence
from steadygrad.rules.read_steptest import Progress, outcome, outweighed, progress
from steadygrad.rules.read_trunk import operation_of, shut_by_design, slowest

RULE = "SG106", "stuck-parameters"

# bench.calibrate --quantities, greatest update ratio of any weight matrix at the first step. Set-ups that train: 5 % below
# 2.5e-3; stuck by their rate: median 3e-7. Those that train below this (a rate warming up from 0) do not stand still.
UPDATE = 0.0002

# bench.calibrate --quantities, fall of the loss in ten steps, learned without the input or with it, or its rise. 212 set-ups
# that train: at least 0.0017; stuck by the scale of targets or updates: median 3e-6.
FLAT = 5e-4
FLAT_LATE = 0.4

ADAM_LIKE = ("Adam", "NAdam", "RAdam")
"""Classes of optimizers that divide by the root of the second moment plus ``eps``, by how their names begin."""

# Share of the elements that get a gradient and are held, yet do not move at all.
HELD_STILL = 0.3


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model, or one for the part that stands still."""
    if trial is None:
        return
    if outweighed(trial):
        yield _decayed(trace, trial)
        return
    if progress(trial) is not Progress.STALLED:
        return
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1 and p.optimized]
    if shut_by_design(trace):
        return  # The first step moves the weights behind a zero head by their decay alone.
    still = [p for p in moved if p.update_ratio == 0.0 and p.log10_gradient > -math.inf]
    share = sum(math.prod(p.shape) for p in still) / max(1, sum(math.prod(p.shape) for p in moved))
    if HELD_STILL <= share < 1:
        yield _held_still(trial, still, share)
    else:
        yield from _stuck(trace, trial, moved)


def _stuck(trace: Trace, trial: StepTest, moved: Sequence[Parameter]) -> Iterable[Finding]:
    if not moved:
        return
    greatest = max(moved, key=lambda parameter: parameter.update_ratio or 0.0)
    ratio = greatest.update_ratio or 0.0
    tiny = ratio < UPDATE
    # On fresh batches SG109 reports what was learned; a flat loss says less.
    if not tiny and (trial.unseen or abs(trial.fall) >= (FLAT if trial.steps < thresholds.MOST_STEPS else FLAT_LATE)):
        return
    yield Finding(
        *RULE,
        Severity.ERROR if tiny else Severity.WARNING,
        f"no weight moves by more than {number(ratio, 1)} of its size a step"
        if tiny
        else f"the weights move by up to {number(ratio, 1)} of their size a step, and the loss does not change",
        location=_divided(trace) or trace.optimizer if tiny else None,
        module=greatest.name if tiny else "",
        evidence=(
            Evidence("greatest update ratio", ratio, "ratio", "1e-4 to 1e-2"),
            Evidence("fall of the loss", trial.fall, "relative", "over 0.02"),
        ),
        consequence=sentence(slowest(trace) if not tiny else "", outcome(trial)),
        cures=(
            CureRef("a learning rate found by real steps", "learning-rate"),
            CureRef("a smaller eps: above the size of the gradients it makes Adam's steps shrink with them")
            if trial.optimizer_class.startswith(ADAM_LIKE)
            else CureRef("Adam in place of SGD, because it is scale-free"),
        )
        if tiny
        else (
            CureRef("a longer look: --trial 100"),
            CureRef("a learning rate found by real steps", "learning-rate"),
        ),
        count=len(moved),
    )


def _divided(trace: Trace) -> Location | None:
    """The expression of the loss that makes every gradient small, if one does."""
    steps = () if trace.trunk is None else trace.trunk.steps
    small = [step for step in steps if step.decades <= -2 and (step.cause in ("loss", "arithmetic"))]
    worst = min(small, key=lambda step: step.decades, default=None)
    operation = operation_of(trace, worst) if worst is not None else None
    return None if operation is None or operation.kind not in ("loss", "arithmetic") else operation.location


def _held_still(trial: StepTest, still: Sequence[Parameter], share: float) -> Finding:
    return Finding(
        *RULE,
        Severity.WARNING,
        f"{len(still)} parameters ({percent(share)} of the matrices) get a gradient, but the optimizer does not move them",
        location=still[0].location,
        module=still[0].name,
        evidence=(Evidence("elements that stand still", share, "share", "0%"),),
        consequence=outcome(trial),
        cures=(CureRef("a learning rate above 0 for their parameter group"),),
        count=len(still),
    )


def _decayed(trace: Trace, trial: StepTest) -> Finding:
    """What the steps do then is the decay's work; an error where the loss does not fall, as in no set-up that trains."""
    return Finding(
        *RULE,
        Severity.ERROR if progress(trial) in (Progress.STALLED, Progress.BOUNCES) else Severity.WARNING,
        f"weight decay pulls the weights {number(trial.decay, 2)} times as hard as the gradient does",
        location=trace.optimizer,
        module="",
        evidence=(
            Evidence(
                "weight decay's part of the first update ÷ the gradient's",
                trial.decay,
                "ratio",
                f"under {thresholds.DECAY:g}",
            ),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("a weight decay of 0.1 or less under AdamW, of 1e-4 under SGD", "weight-decay"),
            CureRef("decoupled decay (AdamW) in place of Adam's"),
        ),
    )
