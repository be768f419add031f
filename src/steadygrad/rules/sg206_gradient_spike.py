"""In training, a gradient leaps far above its own running median.

## What it measures

A guard watches the L2 norm of each weight's raw gradient at every step, and of all together, before any clip. From the 51st
step on it compares each norm with the median of its own last 100 steps. A spike meets four conditions:

- it is at least ten times that median;
- it is twelve robust deviations (of log10) above it;
- it is 2.5 times the greatest of the five steps before. A gradient that always jumps about is no spike, and neither is one
  that grows little by little;
- it is 2.5 times the greatest of the last 240 steps, reported steps left out. The gradient of a nearly settled policy is a
  hundred times its median whenever the policy tries something else.

From the fourth to the 50th step the guard compares the total norm alone: a spike is ten times the greatest of all steps
before.

The alarm names the first parameter to leap, with the factor of the total norm beside it. It reports what moved first (the
batch, the output, the loss, the update, the rate). Where single samples cause the leap, it names the rows of the batch
without which the norm is usual. Other leaps within the next hundred steps belong to the same incident. The incident ends
when the norm is back at its old level. A weight's gradient more than a thousand times its median, or a leap that stays for
twenty steps, is SG201 exploding-gradient.

## Why it matters

One step with a gradient a hundred times too long undoes hundreds of good steps. An optimizer with momentum or second moments
remembers it: Adam's denominator takes 1 ÷ (1 − β₂) = 1,000 steps to forget. A bad batch is the usual cause. The loss shows it
late, or never.

## Example

The code forgets to scale one batch:

```python
import steadygrad
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 32)
        self.second = nn.Linear(32, 32)
        self.third = nn.Linear(32, 1)

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        #                   ^^^^^^^^^^^^^ SG206
        hidden = torch.relu(self.second(hidden))
        return self.third(hidden)


def train():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    guard = steadygrad.guard(net, optimizer)
    for step in range(200):
        x = torch.randn(512, 8)
        y = x.sum(1, keepdim=True) + torch.randn(512, 1)
        if step == 150:
            x = x * 20
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return guard
```

## Use instead

Scale every batch, and let a clip bound the rest:

```python
import steadygrad
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 32)
        self.second = nn.Linear(32, 32)
        self.third = nn.Linear(32, 1)

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        hidden = torch.relu(self.second(hidden))
        return self.third(hidden)


def train():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    clip = steadygrad.Clip.quantile(0.9)
    guard = steadygrad.guard(net, optimizer, clip=clip)
    for step in range(200):
        x = torch.randn(512, 8)
        y = x.sum(1, keepdim=True) + torch.randn(512, 1)
        if step == 150:
            x = x * 20
        x = (x - x.mean()) / x.std()
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return guard
```

## Cures and their safety

- *Looking at the batch*: the alarm names the step, the rows of its batch, and the place in the model.
- *A clip*, `Clip.value(-1, 1)`, `Clip.norm(1.0)` or, without a number to choose, `Clip.quantile(0.9)`: bounds the
  update. Safe where it acts on few steps. A clip that acts on all of them sets the step size (SG306).
- *`on_alarm="skip"`* leaves the step out, at most five times in a hundred before it stops.

## When it is wrong

- Rare gradients (an embedding of rare words, seldom chosen experts) may leap when they occur. Their total norm hardly moves;
  the message shows both numbers.
- In the first 50 steps the guard misses a leap by less than ten times the greatest norm so far. A run's first gradients fall
  by factors of ten and more by themselves, and the median of each weight is not known yet.
- After a change of the batch size or the data the median takes 50 steps to follow.

## Where the threshold comes from

`python -m bench.faults --distributions` prints the greatest leap of any weight in the healthy runs, and its deviations. The
numbers stand beside `SPIKE_DECADES`, `SPIKE_DEVIATIONS`, `EARLY` and `EARLY_DECADES` in `detect/history.py`, the
others beside `LEAP`, `EXPLOSION_DECADES` and `STAYED` in `detect/spikes.py`.

## References

- Pascanu, Mikolov & Bengio 2013, *On the difficulty of training recurrent neural networks*, arXiv:1211.5063.
- Chowdhery et al. 2022, *PaLM*, arXiv:2204.02311, section 5.1: spikes, and skipping the batches around them.
- Seetharaman et al. 2020, *AutoClip*, arXiv:2007.14469.
- Molybog et al. 2023, *A theory on Adam instability in large-scale machine learning*, arXiv:2304.09871.
"""
