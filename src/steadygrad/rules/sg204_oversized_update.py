"""Updates are so large that the loss bounces or diverges: the first ones in a check, any one in training.

## What it measures

Before training, the step test: ten steps of the real optimizer on a copy, on the same batch. The finding is raised if the
loss stops being finite, ends higher than it began, or rises in one step by a large share of its first value. The evidence
shows the first update, ‖Δw‖ ÷ ‖w‖ of the weight that moves most. It also shows the fall of the loss that the gradient
predicts for this update, beside the actual fall:

    predicted = -(gradient · update) ÷ |loss|        actual = (loss before - loss after) ÷ |loss|

Where the optimizer is SGD with one rate, the first 30 steps are taken once more, up to the leap. A few power iterations
give the largest curvature λ there, or a little less. If rate × λ is over 2 × (1 + momentum), the curvature is
the cause: the finding says so, with a rate at which none of 30 steps makes the loss leap. It is 2 ÷ λ, lowered until it holds.
For other optimizers, and where a step takes over 0.1 s, the finding says nothing of the curvature.

The finding is a warning where the loss comes down in spite of the bounces, else an error. It stands at the expression that
makes the optimizer: the cause is not a line of the model.

In training, a guard watches ‖Δw‖ ÷ ‖w‖ of every weight. The ratio is exact in the first three steps and at steps whose
learning rate is five times all earlier rates. At all other steps it is estimated on 256 elements of each weight. The alarm is
an error at the step that changes the weight, in three cases:

- The update is over a third of the weight. Within three steps the loss rises by half, the gradient norm grows to three times
  its value, or either is no longer finite.
- The update is over 0.3 of the weight and ten times its usual update (over 0.1 where the rate has just leapt).
- Gradients spike within ten steps of a leap of the rate.

The guard leaves out weights that begin near zero on purpose.

## Why it matters

To second order L(w + u) = L + g·u + ½ u·Hu. A step helps while the linear term is greater. Plain gradient descent at rate η
diverges along every direction whose curvature exceeds 2/η. Adam's first steps have a size of about η in *every* coordinate,
whatever the gradient: its rate must suit the weights' size.

## Example

Adam with a rate meant for plain gradient descent: each weight, about 0.1 in size, moves by 1.0.

```python
import torch
from torch import nn


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    stem, body, head = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 4)
    model = nn.Sequential(stem, nn.ReLU(), body, nn.ReLU(), head)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    #           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG204
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

A rate at which a step moves the weights by a small share of their size:

```python
import torch
from torch import nn


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    stem, body, head = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 4)
    model = nn.Sequential(stem, nn.ReLU(), body, nn.ReLU(), head)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A learning rate found by the step test*: changes one number and not the model. Safe.
- *Warm-up*: safe. It is right where only the first steps are too large (Adam's second moment is still unsure, or the
  curvature falls early).
- *Clipping by global norm*: safe, and right if large steps come now and then. A clip that acts at every step is a learning
  rate in disguise. It does not bound the update of Adam, which is scale-free.

## When it is wrong

- Dropout, noise or a very small batch make a loss jump by themselves. Every step of the test draws the same random numbers,
  so only the jumps of the batch are left.
- A loss near 0 at the start (a trained model) rises by a large *share* in a harmless step.
- Some set-ups bounce once and then train well. The finding is therefore a warning where the loss falls in the end.
- The curvature is that of one batch. Nets that grow sharper may leap later than after 30 steps: take the rate as a bound.
- In training, the guard does not report an update of a fifth of the weight that does harm slowly. It reports a loss that then
  runs away (SG207). An estimate on 256 elements is within 0.8 to 1.25 times the exact ratio on 95 of 100 steps.
- Growth of the gradient over depth (SG201), a large input (SG304) or large outputs (SG205) cause the same bounce. Their
  finding takes the place of this one.

## Where the threshold comes from

`LEAP = 0.4` of the first loss, in one of the first ten steps, and `BOUNCED = 1.0` of it, in `rules/thresholds.py`. The rule
forgives a leap if the loss is down by `RECOVERED = 0.7` after a hundred steps and leapt by less than `ASTRAY = 300`. Fitted
on the truth table by `python -m bench.calibrate`. `REPLACED = 5`: the rule reports an update of five times a weight's own
size where the loss more than doubles, even if the loss then comes down. `STEPS`, `CHEAP` and `TRIES` of the curvature stand
in `steptest/curvature.py`. Of 18 runs of SGD that leap (ReLU nets of 3 and 6 layers, two losses, rates from 0.1 to 10), the
product is over the limit in 17; at the rate that is named 15 have no such finding any more, 3 leap after the 30th step. In
training, `HARMFUL`, `OVERSIZED`, `GROWN`, `RATE_JUMP`, `WAIT` and `RISEN` in `detect/updates.py`;
`python -m bench.faults --distributions` prints the greatest update and the greatest jump of the rate in healthy runs.

## References

- LeCun, Bottou, Orr & Müller 1998, *Efficient BackProp*, section 5 (the greatest rate is 2 ÷ the greatest curvature).
- Cohen et al. 2021, *Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability*, section 2.
- Smith 2017, *Cyclical Learning Rates for Training Neural Networks*, section 3.3 (the range test).
- Goyal et al. 2017, *Accurate, Large Minibatch SGD*, section 2.2 (warm-up).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import sentence
from steadygrad.rules.read_steptest import Progress, outcome, outweighed, progress, recovered

RULE = "SG204", "oversized-update"

# Times its own size by which the first update moves some weight matrix, from which nothing is left of it: with a loss that
# more than doubled it is reported, however the loss came down. Of 1,170 calibration rows this alone finds one; it fails.
REPLACED = 5.0


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model."""
    if trial is None or outweighed(trial):
        return
    moved = [p for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1]
    most = max(moved, key=lambda parameter: parameter.update_ratio or 0.0, default=None)
    ratio = most.update_ratio if most is not None and most.update_ratio is not None else 0.0
    replaced = ratio >= REPLACED and trial.greatest_rise > thresholds.BOUNCED
    leapt = trial.first.greatest_rise > thresholds.LEAP and not recovered(trial)
    if not (progress(trial) is Progress.BOUNCES or leapt or replaced):
        return
    lasting = trial.diverged or trial.fall < 0.1
    what = "stops being finite" if trial.diverged else f"grows {number(1 + trial.greatest_rise, 2)}-fold in one step"
    yield Finding(
        *RULE,
        Severity.ERROR if lasting else Severity.WARNING,
        f"updates are too large: the loss {what}",
        location=trace.optimizer,
        module=most.name if most is not None else "",
        evidence=(
            Evidence("greatest update ratio in the first step", ratio, "ratio", "1e-4 to 1e-2"),
            Evidence(
                "greatest rise of the loss in one step", trial.greatest_rise, "relative", f"under {thresholds.LEAP:g}"
            ),
            Evidence(
                "fall of the loss predicted for the first step",
                trial.predicted_first,
                "relative",
                "like the actual one",
            ),
            Evidence("fall of the loss in the first step", trial.actual_first, "relative", "like the predicted one"),
            *_curved(trial),
        ),
        consequence=sentence(outcome(trial), _bears(trial)),
        cures=(
            CureRef("a learning rate found by real steps", "learning-rate"),
            CureRef("clipping by global norm, if it happens only now and then", "clip-norm"),
            CureRef("warm-up"),
        ),
        explains=("SG106", "SG105"),
    )


def _curved(trial: StepTest) -> Iterable[Evidence]:
    """The product of rate and curvature, where it is the cause: above what gradient descent bears."""
    edge = trial.curvature
    if edge is not None and edge.product > edge.limit:
        yield Evidence(
            f"learning rate × largest curvature before step {edge.step + 1}",
            edge.product,
            "ratio",
            f"under {edge.limit:g}",
        )


def _bears(trial: StepTest) -> str:
    """The cause and the rate that was seen to be stable, in words."""
    edge = trial.curvature
    if edge is None or edge.product <= edge.limit:
        return ""
    cause = f"rate × curvature is {number(edge.product, 2)}, over the {edge.limit:g} that gradient descent bears"
    return cause + (
        f": at a rate of {number(edge.stable, 2)} none of 30 steps leaps" if edge.stable is not None else ""
    )
