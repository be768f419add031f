"""An operation makes an inf or a NaN out of finite numbers.

## What it measures

Nothing, as long as all numbers are finite. If a check meets inf or NaN in the loss or a gradient, it runs the pass once more
and inspects every element of every output. The finding names the *first* culprit:

- a parameter or a batch that holds inf or NaN already;
- else the first operation of the forward pass with finite inputs and an output that is not finite;
- else the first operation of the backward pass that makes inf or NaN out of a finite gradient.

An infinity that the code asks for, as in `masked_fill(mask, -inf)`, is no culprit.

In training, a guard watches every raw gradient norm of every step, before any clip. The alarm is an error. It comes at the
first step at which a norm is inf or NaN, or at which the optimizer makes inf or NaN out of finite gradients. It names the
cause that the step itself shows: the batch, weights that were not finite before the step, the loss, the optimizer's epsilon
or moments in the number format, or code that writes to the gradients after the backward pass. Else the guard runs the step
again on a copy and names the first culprit with its line. A step that a gradient scaler skips raises no alarm. A guard that
acts lets no such step through.

## Why it matters

One NaN reaches every weight within one step. From then on its origin is lost: a NaN in the loss does not show where it arose.
A NaN of the backward pass is harder to find, because the loss is still finite: √0 is 0, but its derivative ½ x^(-½) is
infinite, and infinity times the 0 behind it is NaN.

## Example

Distances to centres that were drawn from the data: the distance of a sample to itself is 0.

```python
import torch
from torch import nn


class RadialBasis(nn.Module):
    def __init__(self, centres):
        super().__init__()
        self.centres = nn.Parameter(centres)
        self.head = nn.Linear(len(centres), 4)

    def forward(self, x):
        squares = (x[:, None] - self.centres).square().sum(-1)
        distances = torch.sqrt(squares)
        #           ^^^^^^^^^^^^^^^^^^^ SG203
        return self.head(distances)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = RadialBasis(x[:32].clone())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

A small number under the root, which bounds the derivative:

```python
import torch
from torch import nn


class RadialBasis(nn.Module):
    def __init__(self, centres):
        super().__init__()
        self.centres = nn.Parameter(centres)
        self.head = nn.Linear(len(centres), 4)

    def forward(self, x):
        squares = (x[:, None] - self.centres).square().sum(-1)
        distances = torch.sqrt(squares + 1e-6)
        return self.head(distances)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = RadialBasis(x[:32].clone())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A positive number under a logarithm or a root that gets a negative one* (NaN in the forward pass): softplus or exp of the
  raw output. A clamp makes it finite and leaves it without a gradient.
- *An epsilon under a root, in a denominator, or a clamp before a logarithm*: changes the output by about its size; take
  one that the dtype holds (1e-8 is 0 in float16).
- *The fused form* (`log_softmax`, `logsigmoid`, `log1p`, `logsumexp`, `binary_cross_entropy_with_logits`): same function,
  exact where the two-step form overflows. Always safe.
- *A mask that leaves a position open in each row*, for attention. `torch.where` *after* the operation does not help: autograd
  still computes the operation's derivative, and 0 · inf is NaN. Mask the input.
- *Clipping or `nan_to_num` on gradients* hides the place and leaves the cause.

## When it is wrong

- Later operations may cut an infinite derivative off, as a ReLU in front of a root does: its backward pass puts 0 there. The
  derivative then harms no weight. The finding is a warning where the steps learn, because another input may do harm.
- Under float16 a `GradScaler` expects an occasional overflow and skips its step. A guard reports nothing then. The probe runs
  without a scaler.
- One pass does not show a NaN that arises after many steps or on another batch. `steadygrad run` sees it.

## Where the threshold comes from

There is none: a number is finite or it is not. `python -m bench.calibrate --quantities` prints nothing for it.

## References

- Goldberg 1991, *What Every Computer Scientist Should Know About Floating-Point Arithmetic*.
- Goodfellow, Bengio & Courville 2016, *Deep Learning*, section 4.1 (overflow and underflow).
- Blanchard, Higham & Higham 2021, *Accurately computing the log-sum-exp and softmax functions*.
- PyTorch, `torch.autograd.detect_anomaly`, and *Autograd mechanics*, gradients for non-differentiable functions.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import CureRef, Evidence, Finding, NonFinite, Operation, Severity, StepTest, Trace
from steadygrad.rules.findings import other_places
from steadygrad.rules.growth import grown_at
from steadygrad.rules.read_steptest import Progress, progress

RULE = "SG203", "non-finite"

_SAYS = {"nan": "NaN", "inf": "infinity"}

_NEGATIVE = (
    "some of its inputs are negative",
    "softplus, exp or a square of the raw output, so that it is positive before this",
)
_BEYOND = ("some of its inputs lie beyond -1 or 1", "clamping it to (-1 + eps, 1 - eps) before")
_OUTSIDE = {
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt"), _NEGATIVE),
    **dict.fromkeys(("acos", "arccos", "asin", "arcsin"), _BEYOND),
}
"""Functions that make NaN of a finite number only where they are not defined: what it was, and what to write instead."""


_SUMMING = frozenset(
    [
        "add",
        "radd",
        "iadd",
        "sub",
        "rsub",
        "sum",
        "mean",
        "linear",
        "addmm",
        "matmul",
        "rmatmul",
        "mm",
        "conv1d",
        "conv2d",
    ]
)
"""Calls that overflow only because what they are given is large."""


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding: the first culprit."""
    found = trace.nonfinite
    if found is None or found.value == "zero":
        return
    value = _SAYS.get(found.value, found.value)
    outside = _OUTSIDE.get(found.name) if (found.value, found.direction) == ("nan", "forward") else None
    if found.direction in ("input", "parameter"):
        thing = f"the batch ({found.name})" if found.direction == "input" else f"the parameter {found.name}"
        message, label = f"{thing} holds {value} before anything is computed", ""
    elif found.direction == "forward":
        message, label = f"{found.name} makes {value} out of finite numbers", f"the first {value} of the forward pass"
        if outside:
            message += f": {outside[0]}"
    else:
        message = f"the derivative of {found.name} is {value}, although its output is finite"
        label = f"the first {value} of the backward pass"
    made = _made_large(trace, found)
    if made is not None:
        label = f"makes the numbers large, until {found.name} takes them beyond the greatest of the format"
    harmless = found.direction == "backward" and trial is not None and progress(trial) is Progress.LEARNS
    yield Finding(
        *RULE,
        Severity.WARNING if harmless else Severity.ERROR,
        message,
        location=found.location if made is None else made.location,
        module=found.module if made is None else made.module,
        label=label,
        evidence=(Evidence("loss", trace.loss, "value", "finite"),),
        consequence="these steps harmed no weight; another batch may"
        if harmless
        else "every weight becomes NaN at the first step",
        cures=(CureRef(outside[1] if outside else _instead(found.name, found.direction)),),
        also=other_places(trace.operations[found.operation])
        if found.operation is not None and found.operation < len(trace.operations)
        else (),
        explains=tuple(
            f"SG{n}" for n in (101, 102, 103, 104, 105, 106, 107, 108, 201, 202, 204, 205, 301, 302, 303, 304, 305)
        ),
    )


def _made_large(trace: Trace, found: NonFinite) -> Operation | None:
    """The call that made numbers grow, where the one that overflowed only added them up or weighed them; None elsewhere."""
    if (found.value, found.direction) != ("inf", "forward") or found.operation is None:
        return None
    if found.operation >= len(trace.operations) or found.name.strip("_") not in _SUMMING:
        return None
    last = trace.operations[found.operation]
    made = grown_at(trace, last)
    return None if made is last else made


def _instead(name: str, direction: str) -> str:
    """What to write in the place of what made it."""
    if direction == "input":
        return "clean data: torch.isfinite(x).all() on each batch"
    if direction == "parameter":
        return "loading or initialising the weights again"
    name = name.strip("_")
    if name.startswith("log"):
        return "a logarithm of x.clamp_min(eps), or the fused form (log_softmax, logsigmoid, log1p)"
    if name in ("sqrt", "norm", "rsqrt", "pow", "vector_norm", "std"):
        return "x + eps under the root: its derivative at 0 is infinite"
    if name in ("exp", "cosh", "sinh", "expm1"):
        return "the greatest value subtracted before the exponential, or torch.logsumexp"
    if name in ("div", "truediv", "reciprocal", "divide", "true_divide"):
        return "eps added to the denominator"
    if "softmax" in name or "attention" in name:
        return "at least one position left open in every row of the mask"
    return "an epsilon, a clamp or a mask applied before it, not after"
