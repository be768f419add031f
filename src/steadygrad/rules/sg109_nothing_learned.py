"""The steps learn nothing from the input: fresh batches are answered no better than by one constant answer.

## What it measures

The step test on fresh batches (a `DataLoader`, an iterable or a function of the step) ends with the loss of batches that
no step was taken on. It is held against the loss of the mean answer, the same for every sample; where the loss takes no
such answer, or the model makes its own, against that with the targets exchanged between samples: a variational autoencoder
whose latent carries nothing reconstructs another sample as well as its own. *Learned* is 1 − loss ÷ that loss: 0 for every
model that ignores its input, whatever it has learned of the labels' frequencies. What the answers were better than their mean
before the first step is taken off, up to `CHANCE`: a few dozen samples fit outputs at random by some percent. Raised where
after a hundred steps it is still near 0 and no other finding tells why. Where it is small then, but not 0, three hundred are
taken, and it is raised where by then little was added: the net stands on a plateau.

One batch cannot show this: a net may learn it by heart that learns nothing of the task. With one batch alone this rule
says nothing.

## Why it matters

A loss that falls looks like training. It also falls while a model learns nothing but how frequent each label is: from
log(10) = 2.303 to the entropy of the labels, and there it stays. A net whose samples arrive at the same output, or whose
gradient drowns before it comes to the input, does exactly that.

## Example

Labels that have nothing to do with the inputs, so that there is nothing to learn:

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

- *A look at the data* first: that inputs and targets were shuffled together, and that inputs differ. Where gradients are
  healthy from the loss to the input, as the report's trunk shows, the fault is mostly there.
- *Residual blocks, normalisation, folded initialisation*, where the gradient does not come to the input.
- *A learning rate found by real steps* (`steadygrad lr`).
- *A smaller weight of the divergence at first*, in a variational autoencoder (KL warm-up): safe; at its full weight from the
  start the latent collapses onto its prior before the decoder has learned to use it.

## When it is wrong

- A task with a long plateau (parity, recall over many steps, a deep narrow net) may begin to learn after several hundred
  steps: `--trial 500` shows it. It is an error only where the outputs of the samples are all but alike after the steps,
  which no set-up of the truth table outgrew; else a warning.
- Targets that are noise for the most part: little can be learned, and little is.

## Where the threshold comes from

`NOTHING` and `LITTLE` (in `rules/plateau.py`) are shares of the loss without the input, after a hundred steps; `ALIKE` is the
spread of the outputs then. Fitted on the truth table by `python -m bench.calibrate`. What a plateau is stands in
`rules/plateau.py`, with the rows that it was measured on.

## References

- Arpit et al. 2017, *A Closer Look at Memorization in Deep Networks* (nets that fit noise by heart).
- Bowman et al. 2016, *Generating Sentences from a Continuous Space*, section 3.1 (KL warm-up; the latent that is ignored).
- Breiman 2001, *Random Forests* (importance by permutation: what exchanged inputs cost).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.findings import evidence, judged
from steadygrad.rules.grading import informed_fall, outcome
from steadygrad.rules.plateau import LEARNED_LONG, LITTLE, hardly_learns

NOTHING = 0.005
ALIKE = 0.0002


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model."""
    if trial is None or trial.unseen is None or not hardly_learns(trial):
        return
    learned = informed_fall(trial)
    spread = trial.output_spread_after
    exchanged = trial.unseen.constant is None
    hopeless = learned < NOTHING and spread is not None and spread < ALIKE
    yield judged(
        __name__,
        Severity.ERROR if hopeless else Severity.WARNING,
        f"after {trial.steps} steps on fresh batches the answers to unseen ones "
        + (
            f"fit {_fit(learned)} another sample's target"
            if exchanged
            else f"are {_better(learned)} one constant answer"
        ),
        location=None,
        evidence=[
            evidence(
                "learned from the input",
                learned,
                "share",
                f"over {LITTLE if trial.hundred is None else LEARNED_LONG:g}",
            ),
            evidence("loss of unseen batches", trial.unseen.after, "absolute", "well below that without the input"),
            evidence("the same without the input", _without(trial), "absolute", ""),
        ],
        consequence=outcome(trial),
        cures=[
            "a look at whether inputs and targets belong together, and whether inputs differ",
            "a learning rate found by real steps (learning-rate)",
            *(
                ["a smaller weight of the divergence at first, where the model has a latent (KL warm-up)"]
                if exchanged
                else []
            ),
            "a longer look: --trial 500",
        ],
        explains=("SG106",),
    )


def _better(learned: float) -> str:
    return f"{100 * learned:.1f} % better than" if learned >= 0.001 else "no better than"


def _fit(learned: float) -> str:
    return (
        f"their own target {100 * learned:.1f} % better than" if learned >= 0.001 else "their own target no better than"
    )


def _without(trial: StepTest) -> float:
    assert trial.unseen is not None
    without = trial.unseen.constant if trial.unseen.constant is not None else trial.unseen.exchanged
    return float("nan") if without is None else without
