"""Inside a residual block the gradient vanishes on its way to the first layers of the branch; the skip hides it.

## What it measures

The trunk passes a residual block in one step, and the skip carries the gradient past whatever the branch does. The rule looks
inside: it compares the weight matrices that lie one behind another on paths of the block, each by the root mean square of its
gradient. *Decades lost inside* is log10 of the largest such gradient nearer to the loss ÷ the gradient of a matrix further from
it. Gradients of exactly zero do not count: a gate that begins at zero holds its branch shut by design. Paths through attention's
scores do not count either: queries and keys get little where all keys are alike. A skip inside the block ends a path too.

The finding is raised from `LOST` decades on, and stands at the activation of the branch whose derivatives take most, or at the
first layer of the branch where the derivatives do not take half. It is a warning where the step test moves that layer by less
than a millionth of its size a step, as SGD does. Else it is information: under Adam such a net trains, by its skips and by the
last layers of its branches first.

## Why it matters

A skip keeps the trunk healthy, so the loss falls and nothing looks wrong. The layers at the start of each branch stay as they
were drawn: they cost time and memory, and learn nothing. Under Adam, which divides by the gradient's size, they do move, until
the gradient falls under `eps`.

## Example

Two blocks whose branch is ten sigmoid layers deep:

```python
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width=32, depth=10):
        super().__init__()
        layers = [nn.Linear(width, width) for _ in range(depth)]
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        h = x
        for layer in self.layers:
            h = torch.sigmoid(layer(h))
            #   ^^^^^^^^^^^^^^^^^^^^^^^ SG112
        return x + self.out(h)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 32)
    y = x[:, :4].argmax(1)
    model = nn.Sequential(Block(), Block(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

A skip around each layer of the branch, or an activation that does not squash:

```python
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width=32, depth=10):
        super().__init__()
        layers = [nn.Linear(width, width) for _ in range(depth)]
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        h = x
        for layer in self.layers:
            h = h + torch.relu(layer(h)) / len(self.layers)
        return x + self.out(h)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 32)
    y = x[:, :4].argmax(1)
    model = nn.Sequential(Block(), Block(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A skip around every layer or two of the branch*: changes what the net computes, and lets every layer learn.
- *Another activation* (ReLU, GELU) *with weights scaled for it*: changes what the branch computes.
- *Normalisation inside the branch*: new parameters if it has a gain.

## When it is wrong

- A branch that is small by design, as a bottleneck whose first layers are frozen or trained elsewhere.
- Layers of which the batch uses a part only (experts, padding) have small gradients for another reason.

## Where the threshold comes from

`LOST` stands in the rule's file beside what published architectures lose inside their blocks.

## References

- He et al. 2016, *Identity Mappings in Deep Residual Networks*, equations 4 and 5 (the skip carries the
  gradient past the branch).
- Glorot & Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Operation, Severity, Step, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import other_places, sentence
from steadygrad.rules.read_steptest import outcome

RULE = "SG112", "vanishing-branch"

# What 157 published architectures lose inside a block before any step (``bench.healthy``): at most 3.3. Branches of eight sigmoid
# layers lose 6.6, of ten 8.4.
LOST = 5.0

ATTENTION = "attention"
"""Paths end here: what arrives at queries and keys follows how far the keys lie apart, which is no matter of depth."""
JOINS = frozenset(["add", "radd", "iadd", "sub", "rsub", "isub", "cat", "concat"])
"""And here, where two paths meet: a skip inside the block, so that what is small on one of them may be so by design."""


@dataclass(frozen=True)
class _Inside:
    """What one block loses between two of its matrices."""

    decades: float
    first: Operation
    last: Operation
    between: tuple[Operation, ...]


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for all blocks, inside the one that loses most."""
    sizes = {
        p.name: p.log10_gradient - 0.5 * math.log10(math.prod(p.shape))
        for p in trace.parameters
        if p.connected and len(p.shape) > 1 and math.isfinite(p.log10_gradient)
    }
    found = [inside for inside in (_inside(trace, sizes, *block) for block in _blocks(trace)) if inside is not None]
    sick = [inside for inside in found if inside.decades >= LOST]
    if not sick:
        return
    worst = max(sick, key=lambda inside: inside.decades)
    at, label = _place(worst)
    moved = next((p.update_ratio for p in trace.parameters if p.name == worst.first.weight), None)
    speed = "" if moved is None else f"{worst.first.weight} moves by {number(moved, 1)} of its size a step"
    yield Finding(
        *RULE,
        Severity.WARNING if moved is not None and moved < thresholds.CRAWL else Severity.INFO,
        f"inside a residual block the gradient loses {worst.decades:.1f} decades, from {worst.last.weight} to "
        f"{worst.first.weight}; the skip hides it from the trunk",
        location=at.location,
        module=at.module,
        label=label,
        evidence=(
            Evidence(
                "decades lost between the two matrices, by the rms of their gradients",
                worst.decades,
                "decades",
                f"under {LOST:g}",
            ),
            Evidence("blocks that lose as much", float(len(sick)), "blocks", "0"),
        ),
        consequence=sentence(speed, outcome(trial)),
        cures=(
            CureRef("a skip around every layer or two of the branch"),
            CureRef("an activation that does not squash, with weights scaled for it"),
            CureRef("normalisation inside the branch"),
        ),
        count=len(sick),
        also=other_places(at),
    )


def _blocks(trace: Trace) -> Iterator[tuple[int, int]]:
    """The operations in front of each block of the trunk and behind it, the way the gradient goes."""
    steps: tuple[Step, ...] = trace.trunk.steps if trace.trunk is not None else ()
    for at, step in enumerate(steps[:-1]):
        behind = steps[at + 1].operation
        if step.path == "block" and step.operation is not None and behind is not None:
            yield step.operation, behind


def _inside(trace: Trace, sizes: Mapping[str, float], front: int, behind: int) -> _Inside | None:
    """The two matrices on one path of the block between which most is lost; None where no two follow each other.

    ``sizes``: log10 of the root mean square of each matrix's gradient, by name.
    """
    worst: tuple[float, int, int] | None = None
    # Of each operation, the one nearer to the loss whose matrix gets the most: found from the loss back.
    most: dict[int, tuple[float, int]] = {}
    for index in range(front - 1, behind, -1):
        operation = trace.operations[index]
        size, best = sizes.get(operation.weight), most.get(index)
        if size is not None and best is not None and (worst is None or best[0] - size > worst[0]):
            worst = best[0] - size, index, best[1]
        if size is not None and (best is None or size > best[0]):
            best = size, index
        for parent in () if _ends_paths(operation) else operation.parents:
            if best is not None and (parent not in most or best[0] > most[parent][0]):
                most[parent] = best
    if worst is None:
        return None
    decades, first, last = worst
    return _Inside(decades, trace.operations[first], trace.operations[last], trace.operations[first + 1 : last])


def _ends_paths(operation: Operation) -> bool:
    joins = operation.name.strip("_") in JOINS and len(set(operation.parents)) > 1
    return joins or operation.kind == ATTENTION


def _place(inside: _Inside) -> tuple[Operation, str]:
    """The activation whose derivatives take at least half of what is lost, else the first layer; with a label."""
    places: dict[object, list[Operation]] = {}
    for operation in inside.between:
        if (
            operation.kind == "activation"
            and operation.saturation is not None
            and operation.saturation.derivative_rms > 0
        ):
            places.setdefault(operation.location or operation.module, []).append(operation)
    taken = {place: -sum(map(_decades, at)) for place, at in places.items()}
    place = max(taken, key=lambda one: taken[one], default=None)
    if place is None or taken[place] < inside.decades / 2:
        return inside.first, f"gets {number(10**-inside.decades, 1)} of the gradient of {inside.last.weight}"
    times = f" in {len(places[place])} steps" if len(places[place]) > 1 else ""
    return places[place][0], f"its derivatives take {taken[place]:.1f} of the {inside.decades:.1f} decades{times}"


def _decades(activation: Operation) -> float:
    assert activation.saturation is not None
    return math.log10(activation.saturation.derivative_rms)
