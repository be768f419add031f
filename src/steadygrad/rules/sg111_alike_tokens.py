"""The tokens or nodes of a sample become alike with depth: from some layer on they all point the same way.

## What it measures

The probe reads the vectors of a sample's positions (tokens, frames, nodes) behind every layer: each is scaled to length 1, and
*apart* is 1 − ‖mean of them‖². It is 0 if all point the same way, and near 1 if they are unrelated. Where a matrix holds the
nodes of one graph as its rows, the rule compares those. The finding is raised in two cases:

- A warning: positions that lie apart in the first layer are less than `ALIKE` apart from some layer up to the head, no skip
  leads around that layer, and the model does not learn in the step test. Where they are less than `DROWNED` apart, it does not
  count if the model learns something of each sample as a whole: the warning stays unless the steps take most of the loss.
- Information: the same where there was no step test.

The finding stands at the first layer behind which they are alike.

## Why it matters

Attention and graph convolutions replace each vector by a mean of others. Without anything that keeps the vectors apart, each
layer brings them closer: in plain attention doubly exponentially, in a graph by its second eigenvalue a layer. The deep layers
then see one vector a sample. They cannot answer differently at different positions. Samples may still differ from each
other, and the gradient may have a usual size.

## Example

Attention without skips. Behind the second layer all tokens are the same to the last digit:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=32, layers=6):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(torch.randn(16, width))
        norms = [nn.LayerNorm(width) for _ in range(layers)]
        self.norms = nn.ModuleList(norms)
        linears = [nn.Linear(width, 3 * width) for _ in range(layers)]
        self.qkv = nn.ModuleList(linears)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.embed(x) + self.place
        for norm, qkv in zip(self.norms, self.qkv):
            q, k, v = qkv(norm(x)).chunk(3, -1)
            x = nn.functional.scaled_dot_product_attention(q, k, v)
            #   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG111
        return self.head(x).transpose(1, 2)


def setup():
    torch.manual_seed(0)
    x = torch.randn(64, 16, 8)
    y = (x @ torch.randn(8, 4)).argmax(-1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

The same with skips:

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=32, layers=6):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(torch.randn(16, width))
        norms = [nn.LayerNorm(width) for _ in range(layers)]
        self.norms = nn.ModuleList(norms)
        linears = [nn.Linear(width, 3 * width) for _ in range(layers)]
        self.qkv = nn.ModuleList(linears)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.embed(x) + self.place
        for norm, qkv in zip(self.norms, self.qkv):
            q, k, v = qkv(norm(x)).chunk(3, -1)
            x = x + nn.functional.scaled_dot_product_attention(q, k, v)
        return self.head(x).transpose(1, 2)


def setup():
    torch.manual_seed(0)
    x = torch.randn(64, 16, 8)
    y = (x @ torch.randn(8, 4)).argmax(-1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A skip around each attention or graph convolution*: changes what the model computes; same keys.
- *A skip from the first layer to each (initial residual)*, for graph convolutions: the same.
- *Fewer layers that mix*: changes the model.

## When it is wrong

- Some models need their positions no more behind some layer, as one that predicts one number for a whole graph. If it learns,
  the rule reports nothing, unless the positions are alike to the last digits.
- The rule sees attention and products of two tensors. Messages that are passed by `index_add` or `scatter` it does not see.
- Positions that start alike (queries of zeros, an empty picture) are left out.

## Where the threshold comes from

`ALIKE`, `DROWNED` and `APART` stand in the rule's file beside their measurement.

## References

- Dong, Cordonnier & Loukas 2021, *Attention is not all you need: pure attention loses rank doubly exponentially with depth*.
- Oono & Suzuki 2020, *Graph Neural Networks Exponentially Lose Expressive Power for Node Classification*.
- Li, Han & Wu 2018, *Deeper Insights into Graph Convolutional Networks for Semi-Supervised Learning*.
- Chen, Wei, Huang, Ding & Li 2020, *Simple and Deep Graph Convolutional Networks* (initial residuals).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, StepTest, Trace
from steadygrad.record.products import PRODUCTS
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import Progress, outcome, progress, recovered

RULE = "SG111", "alike-tokens"

# How far apart positions are behind the layers of 91 published architectures (``bench.healthy``, before any step): 0.026 or more
# where they have positions. Attention without skips: 1e-5 behind the second layer, 2e-14 (rounding) behind the third. Graph
# convolutions with four links a node: 5e-3 after three layers, 1e-5 to 1e-3 after eight and more. Of 13 such stacks under Adam,
# 400 steps, the seven it reports end at 1.27 to 1.38 of 1.39; with skips eight layers come as close, and end at 0.5 to 0.97.
ALIKE = 3e-3

# Alike by four digits. Attention without skips, 3 layers: 2e-14 at first; it learns its tokens in the end, after 300 steps to a
# loss of 0.77, where eight layers with skips reach 0.13 and without 1.3 of 1.39.
DROWNED = 1e-8

APART = 1e-2
"""What they are to be in the first layer, else they are alike from the start: 1e-3 for an untrained mask token of BEiT."""

ATTENTION = "scaled_dot_product_attention"
FEWEST = 3
"""Layers that are compared: the first, one behind it, and a head."""


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first layer behind which all positions are alike."""
    if trial is not None and recovered(trial):
        return
    learns = progress(trial) is Progress.LEARNS
    for dimensions in (3, 2):
        known = [o for o in trace.operations if o.positions_apart is not None and len(o.output_shape) == dimensions]
        first = _first_alike(known)
        if first is None or not _mixed(trace, first):
            continue
        if (known[-2].positions_apart or 0.0) >= DROWNED and (learns or not _on_trunk(trace, first)):
            continue
        before = known[0].positions_apart or 0.0
        yield Finding(
            *RULE,
            Severity.INFO if trial is None else Severity.WARNING,
            f"all {'tokens or nodes of a sample' if dimensions == 3 else 'nodes'} are alike behind {first.name}: "
            f"{number(first.positions_apart or 0.0, 1)} apart, {number(before, 1)} in the first layer",
            location=first.location,
            module=first.module,
            label="from here on they all point the same way",
            evidence=(
                Evidence("apart in the first layer", before, "share", f"over {APART:g}"),
                Evidence("apart behind this layer", first.positions_apart or 0.0, "share", f"over {ALIKE:g}"),
                Evidence("apart in front of the head", known[-2].positions_apart or 0.0, "share", f"over {ALIKE:g}"),
            ),
            consequence=outcome(trial),
            cures=(
                CureRef("a skip around each layer that mixes positions"),
                CureRef("a skip from the first layer to each, for graph convolutions"),
                CureRef("fewer layers that mix positions"),
            ),
            also=other_places(first),
            explains=() if trial is None else ("SG105", "SG106", "SG109", "SG301"),
        )
        return


def _first_alike(known: Sequence[Operation]) -> Operation | None:
    """The first of those that are alike up to the head, if the positions lay apart before.

    The head itself is left out: in its few outputs the common part may cancel.
    """
    if len(known) < FEWEST or (known[0].positions_apart or 0.0) < APART:
        return None
    found = None
    for operation in reversed(known[:-1]):
        if (operation.positions_apart or 0.0) >= ALIKE:
            break
        found = operation
    return found


def _mixed(trace: Trace, operation: Operation) -> bool:
    """Whether positions were mixed up to there, by attention or a product of two tensors that are no weights."""
    return any(
        o.name == ATTENTION or (o.name in PRODUCTS and not o.weight) for o in trace.operations[: operation.index + 1]
    )


def _on_trunk(trace: Trace, operation: Operation) -> bool:
    """Whether every gradient passes it; where a skip leads around it, the positions stay apart on that path."""
    return trace.trunk is not None and any(step.operation == operation.index for step in trace.trunk.steps)
