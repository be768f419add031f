"""Outputs of shape (N, 1) meet targets of shape (N,): broadcasting compares each with each.

## What it measures

The shapes of what a loss compares: `mse_loss`, `l1_loss`, `smooth_l1_loss` and `huber_loss`, or a difference that is
squared or made positive and then averaged into the loss. The finding is raised if one operand is a column of N numbers, the
other a row of N, and N is the size of the batch.

## Why it matters

The difference of (N, 1) and (N,) is an (N, N) square: the loss compares every output with every target of the batch. Its
minimum is the mean of all targets, for every input. The loss falls to the variance of the targets and stays there. No
gradient is small, and the model learns nothing. PyTorch warns once, in the middle of other output, and only in its own loss
functions.

## Example

The last layer returns a column; the targets are a row:

```python
import torch
from torch import nn
from torch.nn import functional as F


def loss_fn(output, target):
    return F.mse_loss(output, target)
    #      ^^^^^^^^^^^^^^^^^^^^^^^^^^ SG309


def setup():
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    y = x[:, 0]
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), loss_fn, optimizer
```

## Use instead

Give both one shape.

```python
import torch
from torch import nn
from torch.nn import functional as F


def loss_fn(output, target):
    return F.mse_loss(output.squeeze(-1), target)


def setup():
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    y = x[:, 0]
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), loss_fn, optimizer
```

## Cures and their safety

- *`output.squeeze(-1)`*, or targets as a column, `y[:, None]`: changes the loss alone, to the intended one.

## When it is wrong

- A loss over all pairs may be meant. Write it with `torch.cdist` or with an explicit `[:, None]` on both, or add an ignore
  comment.

## Where the threshold comes from

There is none: the shapes alone decide.

## References

- NumPy, *Broadcasting*: the rules that PyTorch follows.
- PyTorch, `torch.nn.functional.mse_loss`: "Using a target size that is different to the input size" (a warning).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.comparing import compares
from steadygrad.rules.findings import other_places
from steadygrad.rules.read_steptest import outcome

RULE = "SG309", "crossed-target"


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the comparison."""
    for operation in trace.operations:
        shapes = operation.crossed
        if not shapes or shapes[0][0] != trace.batch_size or not compares(trace, operation):
            continue
        one, other = (f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" for shape in shapes)
        count = shapes[0][0]
        yield Finding(
            *RULE,
            Severity.ERROR,
            f"shapes {one} and {other} are compared each with each: {count:,} × {count:,} differences",
            location=operation.location,
            module=operation.module,
            label="give both one shape: output.squeeze(-1)",
            evidence=(Evidence("differences a sample", float(count), "count", "1"),),
            consequence=outcome(trial),
            cures=(CureRef("output.squeeze(-1), or the targets as a column: target[:, None]"),),
            also=other_places(operation),
            explains=("SG105", "SG106", "SG109"),
        )
        return
