"""The tasks on which the sick set-ups and their twins are trained, and the assembly of a set-up from its parts.

Small public data (scikit-learn's digits, wine, breast cancer) and generated sequences. A task is a pair of tensors, its
last fifth held out; batches are drawn by step number alone, so that a set-up and its twin see the same stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import nn

from bench.suite.case import Made

Data = tuple[torch.Tensor, torch.Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def adam(lr: float = 1e-3, **options: Any) -> MakeOptimizer:
    return partial(torch.optim.Adam, lr=lr, **options)


def sgd(lr: float = 0.03, **options: Any) -> MakeOptimizer:
    return partial(torch.optim.SGD, lr=lr, **options)


def assemble(
    model: nn.Module,
    data: Data,
    optimizer: MakeOptimizer | torch.optim.Optimizer | None = None,
    *,
    loss_fn: Callable[..., torch.Tensor] = F.cross_entropy,
    size: int = 64,
) -> Made:
    """A set-up: ``model`` on ``data`` with batches of ``size`` (Adam at 1e-3 where no optimizer is named)."""
    x, y = data
    held_out = len(x) // 5
    seen = len(x) - held_out

    def batch(step: int) -> Data:
        rows = torch.randperm(seen, generator=torch.Generator().manual_seed(step))[:size]
        return x[rows], y[rows]

    if not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = (optimizer or adam())(model.parameters())
    return Made(model, batch(0), loss_fn, optimizer, batch, lambda: (x[seen:], y[seen:]))


def _shuffled(x: torch.Tensor, y: torch.Tensor) -> Data:
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(7))
    return x[rows], y[rows]


@cache
def digits() -> Data:
    """Handwritten digits: x (1797, 64), mean 0 and standard deviation 1 over the whole set; y in 0..9."""
    x, y = datasets.load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32)
    return _shuffled((x - x.mean()) / x.std(), torch.tensor(y))


@cache
def images() -> Data:
    """The same digits as (1797, 1, 8, 8)."""
    x, y = digits()
    return x.view(-1, 1, 8, 8), y


@cache
def rows() -> Data:
    """The same digits as sequences of eight rows, (1797, 8, 8)."""
    x, y = digits()
    return x.view(-1, 8, 8), y


@cache
def pixels() -> Data:
    """The same digits read pixel by pixel, (1797, 64, 1)."""
    x, y = digits()
    return x.view(-1, 64, 1), y


@cache
def reconstruction() -> Data:
    """The same digits as their own target, for autoencoders."""
    x, _ = digits()
    return x, x


@cache
def raw_digits() -> Data:
    """Digits as stored: grey levels 0..16."""
    x, y = datasets.load_digits(return_X_y=True)
    return _shuffled(torch.tensor(x, dtype=torch.float32), torch.tensor(y))


@cache
def wine(*, scaled: bool = True) -> Data:
    """Wine: x (178, 13), by feature standardised or as measured (proline up to 1,680); y in 0..2."""
    x, y = datasets.load_wine(return_X_y=True)
    return _shuffled(_features(x, scaled), torch.tensor(y))


@cache
def cancer(*, scaled: bool = True) -> Data:
    """Breast cancer: x (569, 30), by feature standardised or as measured (areas up to 4,254); y in 0..1."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return _shuffled(_features(x, scaled), torch.tensor(y))


@cache
def diabetes() -> Data:
    """Diabetes progression: x (442, 10) standardised, y (442, 1) standardised."""
    x, y = datasets.load_diabetes(return_X_y=True)
    return _shuffled(_features(x, True), _features(y[:, None], True))


def _features(x: Any, scaled: bool) -> torch.Tensor:
    x = torch.tensor(x, dtype=torch.float32)
    return (x - x.mean(0)) / x.std(0) if scaled else x


@cache
def recall(length: int, *, classes: int = 4, samples: int = 1500) -> Data:
    """Sequences (samples, length, classes + 1): the first step shows a class, the rest is noise; which was it?"""
    noise = torch.Generator().manual_seed(11)
    y = torch.randint(classes, (samples,), generator=noise)
    x = 0.1 * torch.randn(samples, length, classes + 1, generator=noise)
    x[:, 0, :classes] += 2.0 * F.one_hot(y, classes)
    x[:, 0, classes] += 1.0
    return x, y


@cache
def curve(*, samples: int = 1500) -> Data:
    """A smooth function of four variables: x (samples, 4) normal, y (samples, 1) of about unit scale."""
    noise = torch.Generator().manual_seed(13)
    x = torch.randn(samples, 4, generator=noise)
    y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:]
    return x, y
