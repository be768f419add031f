"""In training, a gradient leaps far above its own running median.

## What it measures

While a guard watches, the L2 norm of each weight's raw gradient at every step, and of all together, before any clip. From
the 51st step on each is compared with the median of its own last 100 steps. A spike is at least ten times that median,
twelve robust deviations (of log10) above it, *and* 2.5 times the greatest of the five steps before: a gradient that always
jumps about is none, nor is one that grows little by little. It is also 2.5 times the greatest of the last 240 steps, steps
that were told left out: a policy that has nearly settled has a gradient of a hundred times its median whenever it tries
something else. Before that, from the fourth step on, the total norm alone is
compared: ten times the greatest of all steps before.

The first parameter to leap is named, with the total norm's factor beside it. The alarm says what moved first (the batch,
the output, the loss, the update, the rate) and, where single samples do it, the rows of the batch without which the norm
is usual. What else leaps within the next hundred steps belongs to the same incident; it ends when the norm is back at its
old level. A weight's gradient more than a thousand times its median, or a leap that stays for twenty steps, is SG201
exploding-gradient.

## Why it matters

One step with a gradient a hundred times too long undoes hundreds of good ones, and an optimizer with momentum or
second moments keeps the memory of it: Adam's denominator takes 1 ÷ (1 − β₂) = 1,000 steps to forget. A batch that has
gone wrong is the usual cause; the loss shows it late, or not at all.

## Example

One batch in a thousand was never scaled:

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

Scale what comes in, and let a clip bound what is left:

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
  update. Safe where it acts on few steps; where it acts on all of them it sets the step size (SG306).
- *`on_alarm="skip"`* leaves the step out, at most five times in a hundred before it stops.

## When it is wrong

- Gradients that are rare by nature (an embedding of rare words, experts that are seldom chosen) may leap when they
  come. Their total norm hardly moves; the message has both numbers.
- In the first 50 steps a leap by less than ten times the greatest norm so far is not seen: a run's first gradients fall
  by factors of ten and more by themselves, and each weight's own median is not known yet.
- After a change of the batch size or the data the median takes 50 steps to follow.

## Where the threshold comes from

`python -m bench.faults --distributions` prints, for the healthy runs, the greatest leap of any weight and its deviations;
the numbers stand beside `SPIKE_DECADES`, `SPIKE_DEVIATIONS`, `EARLY` and `EARLY_DECADES` in `detect/history.py`, the
others beside `LEAP`, `EXPLOSION_DECADES` and `STAYED` in `detect/spikes.py`.

## References

- Pascanu, Mikolov & Bengio 2013, *On the difficulty of training recurrent neural networks*, arXiv:1211.5063.
- Chowdhery et al. 2022, *PaLM*, arXiv:2204.02311, section 5.1: spikes, and skipping the batches around them.
- Seetharaman et al. 2020, *AutoClip*, arXiv:2007.14469.
- Molybog et al. 2023, *A theory on Adam instability in large-scale machine learning*, arXiv:2304.09871.
"""
