"""A batch is so small that its gradient is nearly all noise, and steps of this size learn nothing from it.

## What it measures

The check measures it where the step test on fresh batches has ended badly already, and no more is known than that nothing is
learned (SG109), the loss leaps (SG204) or the steps draw the samples together (SG105): it costs a healthy model nothing. The
squared gradient of a batch of b samples is on average

    ‖gradient of the batch‖² = ‖G‖² + tr Σ ÷ b

with G the gradient of all data and Σ the covariance of the gradient between samples. Products of the gradients of two batches are
on average ‖G‖², so up to 16 fresh batches give both without bias, before the first step. The finding names the share of noise,
(tr Σ ÷ b) ÷ (‖G‖² + tr Σ ÷ b), and the noise scale, tr Σ ÷ ‖G‖²: the number of samples at which noise and signal are of one size.

A large share proves nothing: many nets learn well at 95 %. So where the share is over `NOISY` the check does what would help.
It takes 30 steps from the start that average the gradients of as many batches as the noise scale asks for, at most 32. It then
takes the same batches one at a time, and once more at a lower rate: divided by the number of batches for SGD, by its root for
others. All are read on the same held-out batches. The finding is raised if averaging learns, and single batches learn less than
half as much.

It takes the place of these findings at their severity, and changes no verdict.

## Why it matters

The mean of many small steps is the right step, but each of them also adds its noise. At rate η the weights come to rest where
noise put in balances what the gradient takes out, at a loss that grows as η ÷ b. Where that is no better than the loss at the
start the net seems to learn nothing, although its model, data and gradient are in order.

## Example

Targets that are noise by half, two at a time, at a rate for larger batches:

```python
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def setup(batch_size=2):
    torch.manual_seed(0)
    x = torch.randn(4000, 20)
    y = x @ torch.randn(20, 1) / 20**0.5 + torch.randn(4000, 1)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    #           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG113
    batches = DataLoader(TensorDataset(x, y), batch_size, shuffle=True)
    return model, batches, nn.functional.mse_loss, optimizer
```

## Use instead

A larger batch:

```python
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def setup(batch_size=128):
    torch.manual_seed(0)
    x = torch.randn(4000, 20)
    y = x @ torch.randn(20, 1) / 20**0.5 + torch.randn(4000, 1)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = DataLoader(TensorDataset(x, y), batch_size, shuffle=True)
    return model, batches, nn.functional.mse_loss, optimizer
```

## Cures and their safety

- *A larger batch*: safe where memory allows it.
- *Gradients accumulated over several batches*: the same gradient without the memory. Safe but for layers that mix the samples
  of a batch, as batch norm does: those still see the small ones.

      for number, (x, y) in enumerate(loader, 1):
          (loss_fn(model(x), y) / 32).backward()
          if number % 32 == 0:
              optimizer.step()
              optimizer.zero_grad()

- *A lower rate*: safe, and averages over steps. The finding names it only if the check has seen it learn.
- *A schedule that lowers the rate*: safe. The noise that is left at the end goes with the rate.

## When it is wrong

- The noise is that of the start. It grows, as a share, while a net learns: a batch may be large enough now and too small later.
- Where a step takes long, fewer batches are averaged than the noise scale asks for, or none: then nothing is said.
- A net that learns slowly is not told of it: if the same batches one at a time learn in the end, noise is not the cause.
- Where averaged gradients need more than 30 steps to learn anything the check does not see that they help. It misses a quarter of
  the nets that fail by noise.
- An iterator that is used up is not asked for hundreds of batches more.

## Where the threshold comes from

`NOISY`, `LEARNS` and `HARDLY` stand in the rule's file beside the set-ups that they were measured on. Where the first update is
over `REPLACED` times a weight's own size (`sg204_oversized_update.py`), the rate is too high whatever the noise: of 323 rows of
the truth table two, at rates of 1 and 3, learned by averaging all the same. Below that bound the finding is raised on none.

## References

- McCandlish et al. 2018, arXiv:1812.06162, section 2.2 and appendix A.1 (the noise scale, and how to measure it).
- Robbins & Monro 1951, *A Stochastic Approximation Method* (rates that fall so that the noise averages out).
- Smith et al. 2018, arXiv:1711.00489 (a larger batch in place of a lower rate).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.numerals import number, percent
from steadygrad.record import CureRef, Evidence, Finding, Severity, StepTest, Trace
from steadygrad.record.steptest import Averaged, Noise
from steadygrad.rules import sg105_collapsed_representation as sg105
from steadygrad.rules import sg204_oversized_update as sg204
from steadygrad.rules.findings import sentence

RULE = "SG113", "noisy-gradient"

# Nets of one and three layers on noisy lines and classes, batches of 1, 2 and 8, six optimizers and rates. The share alone tells
# nothing: 224 called healthy have 0.15 to 1.04, median 0.87, and 22 rows of the table that train with batches of up to 8 have
# 0.17 to 1.06, median 0.84. It saves the time of further steps where it is small.
NOISY = 0.5
# Learned by averaging, and the part of it that single batches learn. 90 of these nets have no finding but SG109 or SG204, and
# were trained for 5,000 steps on single batches and 600 on averaged ones. These numbers find 41: in each of them single batches
# end with less than half of what averaged ones learn, in most worse than a constant answer. 13 of the other 49 end so too.
LEARNS = 0.04
HARDLY = 0.5


def may_be_noise(found: Iterable[Finding], trace: Trace) -> bool:
    """Whether the findings are those that noise may be the cause of, and no other cause is known."""
    told = [one for one in found if one.severity is not Severity.INFO]
    if any((one.update_ratio or 0.0) >= sg204.REPLACED for one in trace.parameters if len(one.shape) > 1):
        return False
    return bool(told) and all(_is_symptom(one, trace) for one in told)


def _is_symptom(one: Finding, trace: Trace) -> bool:
    if one.code == "SG105":
        return (trace.output_spread or 0.0) >= sg105.SPREAD  # The steps bring it about.
    # SG109 with a place is a cause by itself: a dropout that leaves next to nothing.
    return one.code == "SG204" or (one.code == "SG109" and one.location is None)


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for the whole model, where averaging was seen to help."""
    if trial is None or trial.noise is None:
        return
    noise, helps = trial.noise, trial.noise.averaged
    if helps is None or helps.alone is None:
        return
    if helps.learned < LEARNS or helps.alone >= HARDLY * helps.learned:
        return
    slower = helps.slower if helps.learned_slower is not None and helps.learned_slower >= LEARNS else None
    yield Finding(
        *RULE,
        _severity(trace, trial),
        f"{_seen(noise)}; {helps.steps} steps that average {helps.batches} batches learn {percent(helps.learned)}",
        location=trace.optimizer,
        module="",
        label=f"steps on the gradient of {_batch(noise)}",
        evidence=tuple(_evidence(noise, helps, helps.alone)),
        consequence=sentence(_one_at_a_time(helps, helps.alone), _scale(noise)),
        cures=(
            CureRef(
                f"{_larger(noise, helps)}gradients accumulated over {helps.batches} batches: (loss / {helps.batches})"
                f".backward() for each, optimizer.step() after the last"
            ),
            *([CureRef(f"a learning rate {number(slower, 2)} times lower")] if slower is not None else []),
            CureRef("a learning rate found by real steps", "learning-rate"),
        ),
        explains=("SG105", "SG109", "SG204"),
    )


def _severity(trace: Trace, trial: StepTest) -> Severity:
    """That of what it takes the place of: averaged gradients learn at the same rate, which is not too high for them."""
    others = (*sg105.judge(trace, trial), *sg204.judge(trace, trial))
    return Severity.ERROR if any(one.severity is Severity.ERROR for one in others) else Severity.WARNING


def _seen(noise: Noise) -> str:
    if noise.share >= 1:
        return f"the gradients of {noise.batches} batches{_of(noise)} are noise alone, as far as can be seen"
    return f"{percent(noise.share)} of the squared gradient of {_batch(noise)} is noise"


def _of(noise: Noise) -> str:
    return "" if noise.samples is None else f" of {noise.samples:,}"


def _batch(noise: Noise) -> str:
    return f"a batch{_of(noise)}"


def _one_at_a_time(helps: Averaged, learned: float) -> str:
    alone = f"the same {helps.batches * helps.steps:,} batches one at a time"
    if math.isinf(learned):
        return f"{alone} make the loss infinite or NaN"
    return f"{alone} learn {percent(learned) if learned >= 0.001 else 'nothing'}"


def _scale(noise: Noise) -> str:
    """Where noise and signal are of one size; a bound below where the signal itself may be chance."""
    seen = 1 - noise.share > 2 * noise.error
    batches = noise.scale if seen else 1 / (max(0.0, 1 - noise.share) + 2 * noise.error) - 1
    size = f"{number(batches, 1)} batches" if noise.samples is None else f"{number(batches * noise.samples, 2)} samples"
    return f"noise and signal are of one size at {'about' if seen else 'more than'} {size}"


def _larger(noise: Noise, helps: Averaged) -> str:
    return "" if noise.samples is None else f"a batch of {noise.samples * helps.batches:,}, or "


def _evidence(noise: Noise, helps: Averaged, alone: float) -> Iterable[Evidence]:
    yield Evidence("noise in the squared gradient of a batch", noise.share, "share", f"under {percent(NOISY)}")
    yield Evidence("standard error of that", noise.error, "share", "")
    yield Evidence(f"learned with {helps.batches} batches averaged", helps.learned, "share", "")
    yield Evidence("learned from them one at a time", alone, "share", "as much")
    if helps.slower is not None and helps.learned_slower is not None:
        yield Evidence(
            f"the same at a rate {number(helps.slower, 2)} times lower", helps.learned_slower, "share", "as much"
        )
