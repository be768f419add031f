"""A gradient clip acts always or never, at the wrong place, on a part of the gradients, or bends their direction.

## What it measures

A check that knows the loop's clip (`--clip`, `clip=`, or the first step under `steadygrad run`) measures how much of the
first gradient the clip leaves. The finding is an error where SGD's steps learn nothing and no weight moves by `UPDATE` of
its size a step, although one would move by that much without the clip.

A guard watches the clip in training: its own, and the program's own `clip_grad_norm_` or `clip_grad_value_`, also where
Accelerate, Trainer or Lightning call it. It reports a clip that

- acts on 99 % of at least 200 steps, or on none of at least 5,000: at the end of the run, for information;
- turns the gradient: for a clip of the guard that changes some elements and not others, the cosine between the gradient
  before and after has a median under 0.7 (45 degrees), measured on one in fifty of the steps on which the clip acts. At the
  end of the run, for information;
- acts on gradients that still hold a gradient scaler's factor, before `scaler.unscale_(optimizer)`: on three steps, a
  warning;
- runs after the step that used the gradients: on three steps, a warning;
- gets only some of the optimizer's gradients, or acts on gradients that another clip has clipped: on fifty steps, for
  information.

An alarm about the program's own clip stands at the expression that calls it.

## Why it matters

A clip is for spikes. A clip that acts on every step is a learning rate in disguise: the gradient's length no longer counts,
and the tuned rate is not the effective rate. A clip that never acts has not protected the run so far; check its bound. A
value clip that acts on most elements turns the gradient towards the corners of a cube: the result is closer to the
gradient's sign than to the gradient. Gradients that hold a loss scale are up to 65,536 times too large for the bound, so
the clip acts on every step. After the step a clip changes nothing. A clip of one part bounds that part's norm and leaves
the rest free to spike.

## Example

A bound a hundred times below the gradients:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    guard = steadygrad.guard(net, optimizer)
    for _ in range(250):
        x = torch.randn(64, 8)
        y = x.sum(1, keepdim=True)
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.001)  # SG306
        optimizer.step()
    guard.detach()
    return guard
```

## Use instead

A bound that follows the gradients, in place of the program's own clip:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    clip = steadygrad.Clip.quantile(0.9)
    guard = steadygrad.guard(net, optimizer, clip=clip)
    for _ in range(250):
        x = torch.randn(64, 8)
        y = x.sum(1, keepdim=True)
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    guard.detach()
    return guard
```

## Cures and their safety

- *A bound near the usual norms*, or a rate that is larger by the factor that the clip takes away.
- *A bound at a quantile of the norms seen*: `Clip.quantile(0.9)` acts on about a tenth of the steps by itself.
- *A norm clip in place of a value clip*: keeps the direction. Safe.
- *Leaving the clip out and lowering the rate*, where it acts on every step: the same first steps, without the cost.
- *`scaler.unscale_(optimizer)` before the clip*, and the clip between `backward()` and `step()`: the bound then limits the
  true norm. Safe, but the bound acts for the first time and may be too low.
- *All parameters for one clip*: `clip_grad_norm_(model.parameters(), bound)`.

## When it is wrong

- Some recipes clip every step on purpose, as normalised gradient descent does. Large language models often clip at 1.0 for
  most of their training.
- A scale-free optimizer (Adam) hides most of the effect of a constant factor.
- Some loops clip each part of a model by its own bound. The rule reports them only if the parts leave parameters out or
  overlap. Clipping one part alone may be meant.
- The rule does not treat gradients that a loop scales by hand as a clip. Their share counts in `guard.clipped_share` alone.

## Where the threshold comes from

`UPDATE` is that of SG106.
The shares define *always* and *never* on so many steps. The cosine is that of 45 degrees. Three steps leave room for one that
is tried again. `CLIP_ALWAYS`, `CLIP_NEVER_STEPS`, `CLIP_COSINE`, `REPEATS` and `PART_STEPS` stand in
`detect/clips.py`.

## References

- Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, section 3.2.
- Zhang, He, Sra & Jadbabaie 2020, *Why gradient clipping accelerates training*, arXiv:1905.11881.
- Seetharaman et al. 2020, *AutoClip*, arXiv:2007.14469.
- PyTorch, *Automatic mixed precision examples*, section on gradient clipping: `unscale_` comes before the clip.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.rules.read_steptest import Progress, outcome, progress
from steadygrad.rules.sg106_stuck_parameters import UPDATE

RULE = "SG306", "clip-misfit"


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, where the clip alone makes the steps too small. Adam's steps do not know how long a gradient is."""
    clipped = trial.clipped if trial is not None else None
    if trial is None or clipped is None or not trial.optimizer_class.startswith("SGD") or not 0 < clipped.factor < 1:
        return
    moved = [
        p.update_ratio for p in trace.parameters if p.update_ratio is not None and len(p.shape) > 1 and p.optimized
    ]
    greatest = max(moved, default=0.0)
    if progress(trial) is not Progress.STALLED or not 0 < greatest < UPDATE <= greatest / clipped.factor:
        return
    yield Finding(
        *RULE,
        Severity.ERROR,
        f"the clip {clipped.clip} leaves {number(clipped.factor, 1)} of a gradient of norm {number(clipped.before, 2)}: "
        f"no weight moves by more than {number(greatest, 1)} of its size a step",
        location=clipped.location,
        module="",
        label="each step is as many times too small" if clipped.location is not None else "",
        evidence=(
            Evidence("norm after the clip ÷ norm before it", clipped.factor, "factor", "near 1 on most steps"),
            Evidence("greatest update ratio", greatest, "ratio", "1e-4 to 1e-2"),
        ),
        consequence=outcome(trial),
        cures=(
            CureRef(f"a bound near the usual norms: norm:{clipped.before:.1g}"),
            CureRef("no clip, where nothing spikes"),
        ),
        explains=("SG106", "SG109"),
    )
