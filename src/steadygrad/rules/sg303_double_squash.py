"""Softmax or sigmoid is fed to a loss that applies it again.

## What it measures

The input of the loss, past views and reshapes. The finding is raised where a softmax or sigmoid goes straight into a function
that applies one itself: `cross_entropy` and `log_softmax` (after softmax or sigmoid), `binary_cross_entropy_with_logits`
(after sigmoid or softmax), a second softmax on the output. It is also raised where an output sigmoid under `mse_loss` is
saturated in more than 40 % of its units and the step test does not learn.

The finding is an error where the model stands still or bounces, else a warning. It is a warning even where the model learns,
as long as the steps learn less than a fifth (`ENOUGH` in `rules/plateau.py`): of the one batch, or of the loss of unseen
batches within three hundred steps. From a fifth on it is information.

## Why it matters

The second squash gets numbers in [0, 1], so sure and unsure answers look nearly the same to it. With C classes a
perfect softmax still leaves cross-entropy at

    -log(e ÷ (e + C - 1)) = log(1 + (C - 1)/e)

which is 0.74 for 4 classes and 1.46 for 10, where it should be 0. The first softmax's derivative also multiplies the
gradient. It vanishes as the answers become sure, right or wrong. A sigmoid in front of a BCE with logits gives only
probabilities between 0.5 and 0.73. Under squared error the sigmoid's derivative multiplies the error: a unit that is
certain and wrong gets no gradient. Cross-entropy cancels this factor.

## Example

A softmax at the end of the model, and `CrossEntropyLoss`, which expects logits:

```python
import torch
from torch import nn


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    probabilities = nn.Softmax(dim=1)
    #               ^^^^^^^^^^^^^^^^^ SG303
    layers = nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)
    model = nn.Sequential(*layers, probabilities)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.CrossEntropyLoss(), optimizer
```

## Use instead

The model returns logits. Apply softmax only to read a probability.

```python
import torch
from torch import nn


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.CrossEntropyLoss(), optimizer
```

## Cures and their safety

- *The model without the squash*: parameters and `state_dict` keys of the layers stay (in an `nn.Sequential`, later indices
  move). Apply softmax or sigmoid when predicting; the largest class stays the same.
- *The loss that takes probabilities* (`nll_loss` on `log_softmax`, `binary_cross_entropy` on a sigmoid): leaves the
  model's output as it is; less exact for large logits than the fused form.
- *Cross-entropy in place of MSE* behind a sigmoid: changes the loss: its values do not compare with older runs.

## When it is wrong

- A bounded output may be meant as logits, for instance as strong label smoothing. Add an ignore comment there.
- The rule does not recognise a loss written by hand (`-torch.log(p[...]).mean()`), right or wrong.
- Any operation between squash and loss other than a view (a scale, an average of heads) hides the squash.

## Where the threshold comes from

The double squash needs none: the wiring alone decides. Nine calibration rows train through one, and all learn a fifth
within three hundred steps. Three fail and learn something; none of them learns a fifth. For a sigmoid under MSE,
`SATURATED` is the share of units below 5 % of the greatest derivative. Fitted on the truth table by `python -m
bench.calibrate`.

## References

- Bridle 1990, *Probabilistic Interpretation of Feedforward Classification Network Outputs* (softmax and its loss).
- Solla, Levin & Fleisher 1988, *Accelerated Learning in Layered Neural Networks* (cross-entropy against squared error).
- Goodfellow, Bengio & Courville 2016, *Deep Learning*, section 6.2.2 (output units).
- PyTorch, `torch.nn.CrossEntropyLoss`: "the input is expected to contain the unnormalized logits".
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.plateau import ENOUGH
from steadygrad.rules.read_steptest import Progress, informed_fall, outcome, progress
from steadygrad.rules.read_trunk import feeding

RULE = "SG303", "double-squash"

_AGAIN = {
    "cross_entropy": ("softmax", "sigmoid"),
    "log_softmax": ("softmax", "sigmoid"),
    "binary_cross_entropy_with_logits": ("sigmoid", "softmax"),
    "softmax": ("softmax",),
}
"""What a loss applies by itself, so that the model must not."""

# Share of saturated units of an output sigmoid under MSE at which its flat ends, not the error, set the gradient.
SATURATED = 0.4


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the squash to be taken out."""
    for loss in trace.operations:
        squash = feeding(trace, loss)
        if squash is None:
            continue
        name = squash.name
        if name in _AGAIN.get(loss.name, ()) and _is_output(trace, loss):
            yield _found(
                trace,
                trial,
                squash,
                f"{loss.name} applies {'softmax' if 'cross' in loss.name or 'soft' in loss.name else 'sigmoid'} itself",
            )
            return
        saturated = squash.saturation is not None and squash.saturation.saturated_share > SATURATED
        if loss.name == "mse_loss" and name == "sigmoid" and saturated and progress(trial) is not Progress.LEARNS:
            yield _found(trace, trial, squash, "under MSE its derivative multiplies the error")
            return


def _is_output(trace: Trace, loss: Operation) -> bool:
    """A softmax inside the model feeds attention, not a loss: only what the loss is made of counts."""
    return loss.kind == "loss" or (
        loss.name == "softmax" and loss.index >= len(trace.operations) - 4 and len(loss.output_shape) < 3
    )


def _barely(trial: StepTest | None) -> bool:
    """Whether it learns, be it one batch by heart, and yet not what a net without the squash does in so many steps."""
    return progress(trial) is Progress.LEARNS and trial is not None and informed_fall(trial) < ENOUGH


def _found(trace: Trace, trial: StepTest | None, squash: Operation, why: str) -> Finding:
    name = squash.name
    severity = {Progress.STALLED: Severity.ERROR, Progress.BOUNCES: Severity.ERROR, Progress.LEARNS: Severity.INFO}
    output = squash.output
    return Finding(
        *RULE,
        Severity.WARNING if _barely(trial) else severity.get(progress(trial), Severity.WARNING),
        f"{name} is applied to what the loss squashes again: {why}",
        location=squash.location,
        module=squash.module,
        label="give the loss the logits",
        evidence=(
            Evidence(
                "standard deviation of what the loss gets",
                output.std if output else float("nan"),
                "absolute",
                "near 1, as logits have",
            ),
            Evidence("fall of the loss", trial.fall if trial else float("nan"), "relative", "over 0.02"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef(f"leaving {name} out of the model and applying it when predicting", "logits"),
            CureRef("log_softmax with nll_loss"),
        ),
        also=other_places(squash),
        explains=("SG102", "SG106", "SG105", "SG101"),
    )
