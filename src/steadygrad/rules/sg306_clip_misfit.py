"""A gradient clip acts always or never, or bends the gradient's direction.

## What it measures

While a guard clips: on which share of the steps the clip changed anything, and, for clips that change some elements
and not others, the cosine between the gradient before and after, on one in fifty of the steps on which it acts. It is
said at the end of the run, and it is information only: on 99 % of at least 200 steps, on none of at least 5,000, or a
median cosine under 0.7 (45 degrees).

## Why it matters

A clip is for spikes. One that acts on every step is a learning rate in disguise: the gradient's length no longer
counts, and the rate that was tuned is not the rate that works. One that never acts protects from nothing that has
happened yet, which may be just right; its bound is worth a look. A value clip that acts on most elements turns the
gradient towards the corners of a cube: what is left is closer to its sign than to itself.

## Example

A bound a hundred times below the gradients that there are:

```python
import steadygrad
import torch
from torch import nn


def train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    clip = steadygrad.Clip.norm(0.001)
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

## Use instead

A bound that follows the gradients:

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

- *A bound at a quantile of the norms seen*: `Clip.quantile(0.9)` acts on about a tenth of the steps by itself.
- *A norm clip in place of a value clip*: keeps the direction. Safe.
- *Leaving the clip out and lowering the rate*, where it acts on every step: the same first steps, without the cost.

## When it is wrong

- Some recipes clip every step on purpose, as normalised gradient descent does, and large language models often are
  clipped at 1.0 for most of their training.
- A scale-free optimizer (Adam) hides most of what a constant factor does.
- A clip that runs on gradients still multiplied by a loss scale is not this finding: under a guard the norms are those
  without the scale, also where a fused optimizer takes it out itself.

## Where the threshold comes from

The shares are what the words *always* and *never* can mean on so many steps; the cosine is that of 45 degrees. None is
used for more than information.

## References

- Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, section 3.2.
- Zhang, He, Sra & Jadbabaie 2020, *Why gradient clipping accelerates training*, arXiv:1905.11881.
- Seetharaman et al. 2020, *AutoClip*, arXiv:2007.14469.
"""
