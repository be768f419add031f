"""The steps learn nothing from the input: one constant answer fits fresh batches as well.

## What it measures

The step test on fresh batches (a `DataLoader`, an iterable or a function of the step) ends with the loss of unseen batches.
The rule compares this loss with the loss of the mean answer, which is the same for every sample. Some losses take no such
answer, and some models make their own. The rule then compares with the loss after the targets are exchanged between samples:
a variational autoencoder with an empty latent reconstructs another sample as well as its own. The rule compares with neither
where the loss judges each answer alone, as a discriminator does: one answer can be the best for every sample there.

*Learned* is 1 − loss ÷ that loss. It is 0 for every model that ignores its input, even if the model has learned the labels'
frequencies. The rule subtracts the lead over the mean answer before the first step, up to `CHANCE`: a few dozen samples fit
random outputs by some percent. The finding is raised if *learned* is still near 0 after a hundred steps and no other finding
explains it. If it is small then, but not 0, the test takes three hundred steps. The finding is raised if the further steps
add little: the net stands on a plateau.

The finding names dropouts on the trunk that keep next to nothing of their input, at their line. Without any steps it does so
where they keep less than a thousandth and fewer than a dozen numbers of a sample.

One batch cannot show this: a net may learn the batch by heart and nothing of the task. On one batch the rule reports dropout
alone.

## Why it matters

A falling loss looks like training. It also falls while a model learns only the frequency of each label: from log(10) =
2.303 to the entropy of the labels, where it stays. This happens to a net that gives all samples the same output, and to a
net whose gradient drowns on its way to the input.

## Example

Labels that are independent of the inputs, so that there is nothing to learn:

```python
import torch
from torch import nn


def batch(step):
    noise = torch.Generator().manual_seed(step)
    labels = torch.randint(4, (64,), generator=noise)
    return torch.randn(64, 16, generator=noise), labels


def setup():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    # SG109
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, batch, nn.CrossEntropyLoss(), optimizer
```

## Use instead

Labels that belong to their inputs.

```python
import torch
from torch import nn

rule = torch.eye(16)[:, :4]


def batch(step):
    noise = torch.Generator().manual_seed(step)
    x = torch.randn(64, 16, generator=noise)
    return x, (x @ rule).argmax(1)


def setup():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, batch, nn.CrossEntropyLoss(), optimizer
```

## Cures and their safety

- *A look at the data* first: inputs and targets must be shuffled together, and inputs must differ. If the report's trunk
  shows healthy gradients from the loss to the input, the fault is mostly in the data.
- *A smaller `p` of the dropout*: `p` is the share that is dropped, not the share that is kept.
- *Residual blocks, normalisation, folded initialisation*, where the gradient does not reach the input.
- *A learning rate found by real steps* (`steadygrad lr`).
- *A smaller weight of the divergence at first*, in a variational autoencoder (KL warm-up): safe. At full weight from the
  start the latent collapses onto its prior before the decoder has learned to use it.

## When it is wrong

- A task with a long plateau (parity, recall over many steps, a deep narrow net) may begin to learn after several hundred
  steps: `--trial 500` shows it. The finding is an error in two cases only: the outputs of the samples are nearly alike after
  the steps, which no set-up of the truth table outgrew; or three hundred steps on 32 samples or more bring nothing. Else it
  is a warning.
- Mostly noisy targets leave little to learn. The rule then reports a model that learns all there is.

## Where the threshold comes from

`NOTHING` and `LITTLE` (in `rules/plateau.py`) are shares of the loss without the input, after a hundred steps; `ALIKE` is the
spread of the outputs then. Fitted on the truth table by `python -m bench.calibrate`. `rules/plateau.py` defines a plateau and
names the rows that it was measured on. `MOST`, `LITTLE_KEPT`, `FEW_KEPT`, `HARDLY_ANY` and `UNITS_LEFT` stand in the rule's
file beside their measurement on nets with dropout.

## References

- Arpit et al. 2017, *A Closer Look at Memorization in Deep Networks* (nets that fit noise by heart).
- Bowman et al. 2016, *Generating Sentences from a Continuous Space*, section 3.1 (KL warm-up; the latent that is ignored).
- Breiman 2001, *Random Forests* (importance by permutation: what exchanged inputs cost).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.plateau import LEARNED_LONG, LITTLE, hardly_learns, never_begins
from steadygrad.rules.read_steptest import informed_fall, outcome
from steadygrad.rules.read_trunk import body

RULE = "SG109", "nothing-learned"

NOTHING = 0.005
ALIKE = 0.0002

# Share that a dropout drops from which it may be to blame, what all of them on the trunk keep together, and how many numbers of
# a sample one of them leaves. Nets of one to three layers on digits, 64 to 2,048 wide, twelve epochs of Adam: kept 0.05 and
# more learn (0.76 to 0.91), 0.02 in one layer too (0.75); 0.01 in two or three comes to 0.39 to 0.86, 0.0025 to 0.25 where 3
# units are left and 0.76 where 26 are; of those under HARDLY_ANY none learns with 1 to 10 left, 0.2 with 20, 0.81 with 41.
MOST = 0.8
LITTLE_KEPT = 0.02
FEW_KEPT = 0.005
HARDLY_ANY = 0.001
UNITS_LEFT = 12


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model."""
    drops = _dropouts(trace)
    kept = math.prod(1.0 - (one.dropped or 0.0) for one in drops)
    if kept < HARDLY_ANY and min(map(_left, drops)) < UNITS_LEFT:
        yield _starved(trial, drops, kept, Severity.ERROR)
        return
    if trial is None or trial.unseen is None or not hardly_learns(trial):
        return
    learned = informed_fall(trial)
    if drops and kept <= LITTLE_KEPT:
        severe = learned < NOTHING and kept < FEW_KEPT
        yield _starved(trial, drops, kept, Severity.ERROR if severe else Severity.WARNING)
        return
    spread = trial.output_spread_after
    exchanged = trial.unseen.constant is None
    alike = spread is not None and spread < ALIKE
    hopeless = (learned < NOTHING and alike) or never_begins(trial, trace.batch_size)
    yield Finding(
        *RULE,
        Severity.ERROR if hopeless else Severity.WARNING,
        f"after {trial.steps} steps on fresh batches the answers to unseen batches "
        + (
            f"fit {_fit(learned)} another sample's target"
            if exchanged
            else f"are {_better(learned)} one constant answer"
        ),
        location=None,
        module="",
        evidence=(
            Evidence(
                "learned from the input",
                learned,
                "share",
                f"over {percent(LITTLE if trial.hundred is None else LEARNED_LONG)}",
            ),
            Evidence("loss of unseen batches", trial.unseen.after, "absolute", "well below that without the input"),
            Evidence("the same without the input", _without(trial), "absolute", ""),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef("a look at the data: inputs and targets must belong together, and inputs must differ"),
            CureRef("a learning rate found by real steps", "learning-rate"),
            *(
                [CureRef("a smaller weight of the divergence at first, where the model has a latent (KL warm-up)")]
                if exchanged
                else []
            ),
            CureRef("a longer look: --trial 500"),
        ),
        explains=("SG106",),
    )


def _dropouts(trace: Trace) -> list[Operation]:
    """Those on the trunk, which no path goes round, that drop most of their input."""
    on_trunk = {step.operation for step in body(trace)}
    return [
        one for one in trace.operations if one.index in on_trunk and one.dropped is not None and one.dropped >= MOST
    ]


def _left(one: Operation) -> float:
    """How many numbers of a sample it leaves, on average."""
    return (1.0 - (one.dropped or 0.0)) * math.prod(one.output_shape[1:])


def _starved(trial: StepTest | None, drops: Sequence[Operation], kept: float, severity: Severity) -> Finding:
    first = max(drops, key=lambda one: one.dropped or 0.0)
    times = "" if len(drops) == 1 else f", {len(drops)} times in a row"
    return Finding(
        *RULE,
        severity,
        f"dropout drops {percent(first.dropped or 0.0)} of its input{times}: "
        f"it leaves {number(_left(first), 2)} of {math.prod(first.output_shape[1:]):,} numbers a sample",
        location=first.location,
        module=first.module,
        label=f"{percent(kept)} of its input is left"
        if len(drops) == 1
        else f"{percent(kept)} of the input of the first is left in all",
        evidence=(
            Evidence("share that all dropouts in a row keep", kept, "share", f"over {percent(LITTLE_KEPT)}"),
            Evidence("numbers of a sample that are left", _left(first), "numbers", f"over {UNITS_LEFT}"),
        ),
        consequence=outcome(trial),
        cures=(CureRef("a smaller p, the share that is dropped: 0.5 or less"),),
        count=len(drops),
        also=other_places(first),
        explains=("SG106", "SG105", "SG101", "SG102", "SG103"),
    )


def _better(learned: float) -> str:
    return f"{percent(learned)} better than" if learned >= 0.001 else "no better than"


def _fit(learned: float) -> str:
    return f"their own target {percent(learned)} better than" if learned >= 0.001 else "their own target no better than"


def _without(trial: StepTest) -> float:
    assert trial.unseen is not None
    without = trial.unseen.constant if trial.unseen.constant is not None else trial.unseen.exchanged
    return float("nan") if without is None else without
