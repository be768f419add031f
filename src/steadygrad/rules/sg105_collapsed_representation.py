"""Every sample of the batch arrives at the same output.

## What it measures

*Spread*: the share of an activation's energy that differs between the samples of the batch, Σ‖h - mean over batch‖² ÷
Σ‖h‖². The finding is raised in three cases:

- The spread of the model's output is next to nothing and does not grow. The finding stands at the first operation whose
  output is that alike.
- The first ten steps of the optimizer bring the spread down to next to nothing.
- A hundred steps on fresh batches make the spread `CLOSER` times smaller and end at the loss of one answer for all. This
  happens to embeddings that collapse to one point.

The rule reports nothing if the model learns from the input. The finding is an error where the spread is below the rounding
of float32, or where a hundred steps draw the samples together. Else it is a warning.

## Why it matters

A loss can only teach a model to separate samples whose outputs differ. Equal outputs get equal gradients, so every update
moves all answers together. The best such a model can learn is a constant. The norm of the gradient does not show this.
Neither does the loss, which falls at first while the model learns the constant.

## Example

Readings about 1 that differ from each other by a millionth. The first layer passes the common 1 on with far more energy
than the difference:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        #              ^^^^^^^^^^^^ SG105
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (1 + 1e-6 * x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

The same readings, standardised:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A standardised input*: touches no model; the same numbers must be applied at inference.
- *A residual span*, where depth makes the samples alike: changes what the model computes; same keys.
- *Batch norm*: removes the part that all samples share. New parameters and keys.
- *Initialisation on the critical line of the activation*: changes numbers only, before training.
- *A smaller learning rate, or warm-up*, where the first steps are to blame: safe.

## When it is wrong

- A batch of equal samples gives equal outputs. The rule warns of the batch and does not blame the model: pass samples that
  differ. It reports nothing on a batch of one.
- Some answers are meant not to depend on the sample, as that of a bias learned alone. They have no spread by design.
- The spread of a model whose head begins at zero grows within the first steps. The rule sees this and reports nothing.

## Where the threshold comes from

`SPREAD` stands in the rule's file. `ROUNDING` (for an error), `SPREAD_FLOOR` and `SPREAD_GROWTH` (the growth in ten steps
that saves a net) stand in `rules/thresholds.py`. Fitted on the truth table by `python -m bench.calibrate`.

## References

- Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016, *Exponential expressivity in deep neural networks through
  transient chaos* (the correlation map and its fixed points).
- Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, *Deep Information Propagation* (the ordered phase).
- Dong, Cordonnier & Loukas 2021, *Attention is not all you need: pure attention loses rank doubly exponentially with
  depth*.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import other_places
from steadygrad.rules.plateau import hardly_learns
from steadygrad.rules.read_steptest import Progress, at_first, informed_fall, outcome, outweighed, progress
from steadygrad.rules.read_trunk import drowned, escapes, shut_by_design

RULE = "SG105", "collapsed-representation"

# bench.calibrate --quantities, spread of the model's output. 211 set-ups that train: 5 % below 2e-4; five below 1e-7, and in
# all five it grows (``escapes``). Sick by vanishing or mismatch (SG101, 102, 301): median 7e-15, the rounding of float32.
SPREAD = 1e-06

# Times by which a hundred steps on fresh batches bring the answers closer to one another, and how near the loss then is to that
# of one constant answer. Of 1,002 rows of the truth table that train, those that have learned nothing by then grow apart (1.07
# times and more); the one whose spread falls (unscaled targets, 6.8 times) is far from a constant's loss (-0.39). A triplet
# loss under too high a rate: 9.5 times, -0.03.
CLOSER = 5.0
AT_A_CONSTANT = 0.1


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first operation after which the samples are alike."""
    spread = trace.output_spread
    if spread is None or progress(trial) is Progress.LEARNS:
        return
    if spread >= SPREAD:
        if (
            trial is not None
            and (trial.first.output_spread_after or 1.0) < SPREAD
            and progress(trial) is not Progress.BOUNCES
            and not outweighed(trial)
        ):
            yield _in_training(trace, trial.first, spread, trial.first.output_spread_after or 0.0)
        elif trial is not None and not outweighed(trial) and _drawn_together(trial, spread):
            yield _together(trace, trial, spread, trial.output_spread_after or 0.0)
        return
    if trace.input_spread is not None and trace.input_spread < thresholds.ROUNDING:
        yield _one_input(trace.input_spread, trial)
        return
    if escapes(trace, trial) or (trial is None and shut_by_design(trace)):
        return
    known = [o for o in trace.operations if o.output is not None and o.output.spread is not None]
    first = next((o for o in known if _alike(o)), None)
    first = first and _merging(trace, first)
    severity = Severity.ERROR if drowned(trace) and at_first(trial) is not Progress.SLOW else Severity.WARNING
    yield Finding(
        *RULE,
        severity,
        f"all samples arrive at the same output: only {number(spread, 1)} of its energy differs between them",
        location=first.location if first is not None else None,
        module=first.module if first is not None else "",
        label="from here on the samples are alike" if first is not None else "",
        evidence=(Evidence("spread of the output", spread, "share", f"over {percent(SPREAD)}"),),
        consequence=outcome(trial),
        cures=(
            CureRef("folded initialisation, which keeps samples apart", "fold"),
            CureRef("weights initialised for the activation", "initialise"),
            CureRef("batch norm", "normalise"),
            CureRef("a residual span", "residual"),
        ),
        also=other_places(first),
        explains=("SG106",),
    )


def _alike(operation: Operation) -> bool:
    return operation.output is not None and (operation.output.spread or 0.0) < SPREAD


def _merging(trace: Trace, first: Operation) -> Operation:
    """Where the samples become alike: an operation of unknown spread between the first that is alike and one that is not."""
    found = first
    while found.parents:
        parent = trace.operations[found.parents[0]]
        if parent.output is not None and parent.output.spread is not None:
            return first if _alike(parent) or found.kind == "shape" else found
        found = parent
    return first


def _in_training(trace: Trace, trial: StepTest, before: float, after: float) -> Finding:
    """The first updates push all samples to the same output: their difference drowns."""
    gone = progress(trial) is Progress.STALLED and after < thresholds.SPREAD_FLOOR
    return Finding(
        *RULE,
        Severity.ERROR if gone else Severity.WARNING,
        f"{trial.steps} steps make all samples alike: {number(before, 1)} of the output's energy differed between them, "
        f"now {number(after, 1)}",
        location=trace.optimizer,
        module="",
        label="its steps bring this about" if trace.optimizer is not None else "",
        evidence=(
            Evidence("spread of the output before the steps", before, "share", f"over {percent(SPREAD)}"),
            Evidence("spread of the output after them", after, "share", "no less"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("a residual span", "residual"),
            CureRef("a smaller learning rate", "learning-rate"),
            CureRef("warm-up"),
            CureRef("less weight decay", "weight-decay"),
            CureRef("normalisation before each layer", "normalise"),
        ),
        explains=("SG106",),
    )


def _drawn_together(trial: StepTest, before: float) -> bool:
    """Whether a hundred steps or more brought the answers closer to one another, and the loss to that of one answer for all."""
    after = trial.output_spread_after
    if (
        trial.unseen is None
        or trial.unseen.constant is None
        or trial.diverged
        or trial.steps < thresholds.MOST_STEPS
        or after is None
    ):
        return False
    return hardly_learns(trial) and abs(informed_fall(trial)) < AT_A_CONSTANT and after * CLOSER < before


def _together(trace: Trace, trial: StepTest, before: float, after: float) -> Finding:
    """As embeddings do whose loss is as good at one point as at separate points."""
    return Finding(
        *RULE,
        Severity.ERROR,
        f"{trial.steps} steps draw all samples together: {number(before, 1)} of the output's energy differed between them, now "
        f"{number(after, 1)}, and the loss is that of one answer for all",
        location=trace.optimizer,
        module="",
        label="its steps bring this about" if trace.optimizer is not None else "",
        evidence=(
            Evidence("spread of the output before the steps", before, "share", ""),
            Evidence("spread of the output after them", after, "share", f"over {percent(before / CLOSER)}"),
            Evidence("learned from the input", informed_fall(trial), "share", f"over {percent(AT_A_CONSTANT)}"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("a smaller learning rate", "learning-rate"),
            CureRef("warm-up"),
            CureRef("a loss that one point does not satisfy: semi-hard pairs, a term that keeps the outputs apart"),
        ),
        explains=("SG106", "SG109"),
    )


def _one_input(spread: float, trial: StepTest | None) -> Finding:
    """What comes in alike goes out alike: nothing is wrong with the model."""
    return Finding(
        *RULE,
        Severity.WARNING,
        "all samples of the batch are the same, so no model can separate them: this is no gradient problem",
        location=None,
        module="",
        evidence=(Evidence("spread of the input", spread, "share", "over 0%"),),
        consequence=outcome(trial),
        cures=(CureRef("a batch of samples that differ"),),
        explains=("SG106", "SG109", "SG304"),
    )
