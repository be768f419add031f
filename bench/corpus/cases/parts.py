"""What the cases are put together from: the table's own data, batches by step number alone, optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus import tasks
from bench.corpus.case import Made
from bench.corpus.tasks import Data, table

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

digits = tasks.digits
images = partial(digits, shape=(1, 8, 8))
rows = partial(digits, shape=(8, 8))
pixels = partial(digits, shape=(64, 1))
raw_digits = partial(digits, raw=True)
diabetes = partial(table, "diabetes", regression=True)
recall = partial(tasks.recall, samples=1500)


def wine(*, scaled: bool = True) -> Data:
    """Proline, as measured, is up to 1,680."""
    return table("wine", raw=not scaled)


def cancer(*, scaled: bool = True) -> Data:
    """Areas, as measured, are up to 4,254."""
    return table("breast_cancer", raw=not scaled)


def reconstruction() -> Data:
    """The digits as their own target, for autoencoders."""
    x, _ = digits()
    return x, x


@cache
def curve() -> Data:
    """A smooth function of four variables: x (1500, 4) normal, y (1500, 1) of about unit scale."""
    x = torch.randn(1500, 4, generator=torch.Generator().manual_seed(13))
    y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:]
    return x, y


def adam(lr: float = 1e-3, **options: Any) -> MakeOptimizer:
    return partial(torch.optim.Adam, lr=lr, **options)


def sgd(lr: float, **options: Any) -> MakeOptimizer:
    return partial(torch.optim.SGD, lr=lr, **options)


def assemble(
    model: nn.Module,
    data: Data,
    optimizer: MakeOptimizer | torch.optim.Optimizer | None = None,
    *,
    loss_fn: Callable[..., torch.Tensor] = F.cross_entropy,
    size: int = 64,
) -> Made:
    """A set-up: ``model`` on ``data`` with batches of ``size`` (Adam at 1e-3 where no optimizer is named).

    The last fifth is held out. A set-up and its twin see the same stream.
    """
    x, y = data
    seen = len(x) - len(x) // 5

    def batch(step: int) -> Data:
        rows = torch.randperm(seen, generator=torch.Generator().manual_seed(step))[:size]
        return x[rows], y[rows]

    if not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = (optimizer or adam())(model.parameters())
    return Made(model, batch(0), loss_fn, optimizer, batch, lambda: (x[seen:], y[seen:]))
