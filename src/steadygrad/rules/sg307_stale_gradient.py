"""In training, steps use gradients that add to those of earlier steps, old gradients, or none.

## What it measures

A guard watches what the loop does with its gradients between two steps. PyTorch counts the writes to a tensor. The guard
compares identity and count of the optimizer's first gradient at the end of a step and at the beginning of the next backward
pass; it does not read the gradient. It sees three mistakes:

- Both are the same: no code has cleared or scaled the gradient. The backward pass adds to a gradient that a step has used.
- No backward pass has changed the gradient since the last step: the step uses the same gradient twice.
- A backward pass has made gradients and the step finds none, or only zeros that were written over them: the loop clears them
  between the two.

The alarm is an error if any of these happens on three steps in a row. It is also an error if a quarter of the steps, ten at
least, add to a used gradient, or if three steps use gradients that still hold the scale of a `GradScaler`, because the loop
calls `optimizer.step()` in place of `scaler.step(optimizer)`. The alarm names the first such step and stands at the
expression that takes it. Several backward passes before one step are accumulation, and right.

## Why it matters

`loss.backward()` adds to `.grad`. Without `optimizer.zero_grad()` the gradient of step n is the sum over all n batches,
like a momentum of 1 that never forgets. The update grows with n, keeps the direction of the first steps, and overshoots
every minimum. The loss falls at first, so the mistake passes a short test. Then the loss swings or diverges. Adam hides the
length of the sum and keeps its wrong direction. A step without a new backward pass repeats the update of a used batch: two
steps per batch double the learning rate. A `zero_grad` between `loss.backward()` and `optimizer.step()` leaves every step
without a gradient: the loop runs, and no weight ever moves.

## Example

The loop never clears the gradients:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    guard = steadygrad.guard(net, optimizer)
    for _ in range(100):
        x = torch.randn(64, 8)
        y = x.sum(1, keepdim=True)
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()  # SG307
    return guard
```

## Use instead

`zero_grad` once a step, before the first backward pass or after the step:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    guard = steadygrad.guard(net, optimizer)
    for _ in range(100):
        x = torch.randn(64, 8)
        y = x.sum(1, keepdim=True)
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return guard
```

## Cures and their safety

- *`optimizer.zero_grad()` before `loss.backward()`*: with accumulation, before the first backward pass of each step. Safe. A
  rate that was tuned without it is likely to be too low afterwards.
- *One `optimizer.step()` for each batch*: a trainer and your own loop may both call it.
- *`on_alarm="stop"`* ends such a run at its fourth step. `skip` leaves out no step here: every later step has the same
  mistake.

## When it is wrong

- A loop that clears gradients through `p.grad.data.zero_()` writes past PyTorch's count and looks as if it cleared nothing.
  PyTorch counts `p.grad.zero_()` and `optimizer.zero_grad()`.
- A method that takes several steps along one gradient on purpose raises the alarm as well.
- Two steps for each backward pass are not three in a row. The guard does not report them.
- The guard compares only the first gradient of an optimizer. It misses a loop that clears some parameters and not others.

## Where the threshold comes from

`REPEATS = 3` in `detect/clips.py`: once or twice may be meant, as in a step that is tried again. Nothing else is a
choice: a gradient is written to or it is not. The healthy runs of `python -m bench.faults --healthy` raise none.

## References

- PyTorch, `torch.Tensor.backward`: it accumulates gradients in the leaves, which may have to be cleared before the call.
- PyTorch, `torch.optim.Optimizer.zero_grad`, and the recipe *Zeroing out gradients in PyTorch*.
- PyTorch, *Autograd mechanics*, section on in-place correctness checks, and `torch.autograd.graph.increment_version`: the
  count of writes to a tensor.
"""
