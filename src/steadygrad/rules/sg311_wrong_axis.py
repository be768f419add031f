"""A call runs along the samples of the batch, or a view swaps two axes: it mixes unrelated numbers.

## What it measures

After the step test the model runs twice more, in eval mode: on the batch, and on the same batch with all samples but the
first and the last replaced. A recurrent layer, an attention or a softmax must give the same output for those two both
times. The finding is raised at the first call that does not, in two cases. The batches come from a `DataLoader` that
shuffles and stacks samples, so the samples have no order. Or every sample has a target of its own, and the call has another
axis to run along.

If fresh batches show that the model learns hardly anything, the finding is also raised at a `view` or `reshape` whose output
has the dimensions of its input in another order.

## Why it matters

`nn.LSTM`, `nn.GRU`, `nn.RNN`, `nn.MultiheadAttention` and `nn.TransformerEncoderLayer` take (time, samples, features) unless
`batch_first=True`. They do not raise on (samples, time, features): they run along the samples, and a sample's answer depends
on its neighbours. The same goes for a softmax over dimension 0, whose shares add up to 1 over the samples. A `view` keeps the
order of the numbers in memory. It does not transpose (samples, time, classes) into (samples, classes, time): most scores end
up at another word's place. Gradients are healthy in all these models. The loss falls only as far as it does for a model that
ignores most of the input.

## Example

An LSTM without `batch_first`, over (samples, time, features):

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        states, _ = self.lstm(x)
        #           ^^^^^^^^^^^^ SG311
        return self.head(states[:, -1])


def setup():
    torch.manual_seed(0)
    x = torch.randn(64, 10, 4)
    y = (x.sum((1, 2)) > 0).long()
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.head(states[:, -1])


def setup():
    torch.manual_seed(0)
    x = torch.randn(64, 10, 4)
    y = (x.sum((1, 2)) > 0).long()
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *`batch_first=True`* where the layer is made, or `x.transpose(0, 1)` around its call: the model then computes what was
  intended.
- *`dim=-1`* for a softmax over classes.
- *`transpose` or `permute`* in place of a `view` that swaps axes.

## When it is wrong

- Attention between samples may be meant (as in SAINT): write the samples as one sequence, `x[None]`, or ignore the rule
  there.
- A `view` that shifts rows against each other on purpose, as in relative attention, swaps axes too. The rule reports it only
  where the model learns nothing, and never in an installed package.
- The rule leaves sequences along the first axis alone that have one target for each step, as (time, 1, features).

## Where the threshold comes from

`CHANGED` in `steptest/mixing.py`, a thousandth, is far above rounding (1e-6 of the greatest value) and far below the change
that another sample makes. "Hardly anything" is that of SG109.

## References

- PyTorch, `torch.nn.LSTM`: `batch_first`, "(batch, seq, feature) instead of (seq, batch, feature)".
- Karpathy 2019, *A Recipe for Training Neural Networks*: "use backprop to chart dependencies".
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.record.trace import Mixing
from steadygrad.rules.findings import other_places
from steadygrad.rules.plateau import LITTLE, hardly_learns
from steadygrad.rules.read_steptest import informed_fall, outcome

RULE = "SG311", "wrong-axis"

VIEWS = frozenset(["view", "reshape", "view_as", "reshape_as"])
SYMPTOMS = ("SG101", "SG104", "SG105", "SG106", "SG109")


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the call that mixes samples, else at the first view that swaps axes."""
    if trace.mixing is not None:
        yield _mixed(trace.mixing, trial)
    elif trial is not None and hardly_learns(trial):
        traded = next((one for one in trace.operations if _before(trace, one) is not None), None)
        if traded is not None:
            yield _traded(trace, traded, trial)


def _mixed(mixing: Mixing, trial: StepTest | None) -> Finding:
    samples = mixing.shape[0]
    if "softmax" in mixing.name:
        message = f"{mixing.name} runs along the {samples} samples of the batch, not along each one's own values"
        help_ = "give the softmax the dimension of the classes: dim=-1"
    elif len(mixing.shape) == 3:
        what = "attention" if "attention" in mixing.name else mixing.name
        message = (
            f"{what} runs along the {samples} samples of the batch: its input {mixing.shape} is taken for "
            "(time, samples, features)"
        )
        help_ = "make the layer with batch_first=True"
    else:
        message = f"{mixing.name} runs along the {samples} samples of the batch: its input {mixing.shape} is one sequence to it"
        help_ = "give each sample a time axis of its own: (samples, time, features), with batch_first=True"
    return Finding(
        *RULE,
        Severity.ERROR,
        message,
        location=mixing.location,
        module="",
        label=help_,
        evidence=(Evidence("samples that an answer depends on", float(samples), "count", "1"),),
        consequence=outcome(trial),
        cures=(CureRef(help_),),
        explains=SYMPTOMS,
    )


def _traded(trace: Trace, operation: Operation, trial: StepTest) -> Finding:
    return Finding(
        *RULE,
        Severity.ERROR,
        f"{operation.name} makes {operation.output_shape} of {_before(trace, operation)}: it does not transpose the axes, and "
        "most numbers end up in another's place",
        location=operation.location,
        module=operation.module,
        label="use transpose or permute",
        evidence=(Evidence("learned from the input", informed_fall(trial), "share", f"over {percent(LITTLE)}"),),
        consequence=outcome(trial),
        cures=(CureRef("transpose or permute in place of " + operation.name),),
        also=other_places(operation),
        explains=SYMPTOMS,
    )


def _before(trace: Trace, operation: Operation) -> tuple[int, ...] | None:
    """The shape that a view was given, where the same dimensions come out in another order. Installed packages know why."""
    place = operation.location
    if operation.name not in VIEWS or not operation.parents or (place and "site-packages" in place.path):
        return None
    before = trace.operations[operation.parents[0]].output_shape
    long, after = ([size for size in shape if size > 1] for shape in (before, operation.output_shape))
    return before if long != after and sorted(long) == sorted(after) else None
