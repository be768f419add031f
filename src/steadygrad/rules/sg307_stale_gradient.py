"""In training, steps use gradients that hold those of earlier steps, no new gradients, or none at all.

## What it measures

While a guard watches, what the loop does with its gradients between two steps. PyTorch counts how often a tensor is
written to. The guard compares identity and count of the optimizer's first gradient at the end of a step and at the
beginning of the next backward pass: where both are the same, nobody has cleared or scaled it, and the backward pass adds
to what the step has used already. Where a step begins and no backward pass has changed the gradient since the step before,
it uses the same gradient twice. No gradient is read for this. Where a backward pass has brought gradients and the step finds
none, or nothing but zeros that somebody wrote over them, they were cleared between the two.

An error when any of these happens on three steps in a row, or when a quarter of the steps, ten at least, add to what a step
has used; also when three steps use gradients that still hold the scale of a `GradScaler`, because `optimizer.step()` is called
where `scaler.step(optimizer)` was meant. The alarm names the first of them, and stands at the expression that takes the step.
Several backward passes before one step are accumulation, and right.

## Why it matters

`loss.backward()` adds to `.grad`. Without `optimizer.zero_grad()` the gradient of step n is the sum over all n batches, as
with a momentum of 1 that never forgets: the update grows with n, points to where the first steps pointed, and overshoots
every minimum. The loss falls at first, so the mistake passes a short test; then it swings, or diverges. Adam hides the
length of the sum and keeps its wrong direction. A step without a new backward pass repeats the update of a batch that has
been used already: for two steps per batch it is a rate twice as high as the one that is written down. A `zero_grad` between
`loss.backward()` and `optimizer.step()` leaves every step with nothing: the loop runs, and no weight ever moves.

## Example

Nothing clears the gradients:

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

- *`optimizer.zero_grad()` before `loss.backward()`*: with accumulation, before the first backward pass of each step. Safe;
  the rate that was tuned without it is likely to be too low afterwards.
- *One `optimizer.step()` for each batch*: a trainer and a loop of one's own may both call it.
- *`on_alarm="stop"`* ends such a run at its fourth step. `skip` leaves nothing out here: every later step has the same
  mistake.

## When it is wrong

- A loop that clears gradients through `p.grad.data.zero_()` writes past PyTorch's count, and looks as if it cleared
  nothing. `p.grad.zero_()` or `optimizer.zero_grad()` is counted.
- A method that takes several steps along one gradient on purpose gives the alarm as well.
- Two steps for each backward pass are not three in a row, and are not reported.
- Only the first gradient of an optimizer is compared: a loop that clears some parameters and not others is not seen.

## Where the threshold comes from

`REPEATS = 3` in `detect/clips.py`: once or twice may be meant, as in a step that is tried again. There is nothing else to
choose: a gradient has been written to or it has not. The healthy runs of `python -m bench.faults --healthy` raise none.

## References

- PyTorch, `torch.Tensor.backward`: it accumulates gradients in the leaves, which may have to be cleared before the call.
- PyTorch, `torch.optim.Optimizer.zero_grad`, and the recipe *Zeroing out gradients in PyTorch*.
- PyTorch, *Autograd mechanics*, section on in-place correctness checks, and `torch.autograd.graph.increment_version`: the
  count of writes to a tensor.
"""
