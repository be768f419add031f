"""How much of the gradient of a batch is noise: what differs from one fresh batch to the next, before the first step.

For independent batches, products g_i · g_j of two gradients are on average ‖G‖², squares ‖g_i‖² are ‖G‖² + tr Σ ÷ size
(McCandlish et al. 2018, arXiv:1812.06162, appendix A.1). The batches are passed twice, so that no more than the sum of
their gradients is kept. Judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from steadygrad.copies.nested import size_of
from steadygrad.probe.backward import put_back
from steadygrad.record.steptest import Noise
from steadygrad.steptest.at_step import batch_at, gradient_at, stepped_weights
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy

BATCHES = 16
"""That are looked at, at the cost of 32 plain passes: the standard error of the share is then 0.06, the median of 90 nets."""

FEWEST = 8
"""Of a source that has no more."""


def noise_in(subject: Subject) -> Noise | None:
    """The noise of the gradient on the fresh batches; None where they are too few, or it is not finite."""
    outside: list[tuple[Tensor, Tensor | None]] = []
    try:
        with with_copy(subject) as run:
            weights = stepped_weights(run)
            steps, samples = _alike(run)
            if len(steps) < FEWEST:
                return None
            total = [torch.zeros_like(weight, dtype=_wide(weight)) for weight in weights]
            for step in steps:
                for kept, one in zip(total, gradient_at(run, step, weights, outside), strict=True):
                    kept += one
            squares, products = [], []
            for step in steps:
                gradient = gradient_at(run, step, weights)
                squares.append(_product(gradient, gradient))
                products.append(_product(gradient, total))
    finally:
        put_back(outside)
    found = share_of_noise(squares, products)
    return None if found is None else Noise(len(squares), samples, *found)


def _alike(run: SubjectCopy) -> tuple[list[int], int | None]:
    """The first steps whose batches differ and are of one size, and the size."""
    drawn = [batch_at(run, step)[0] for step in range(BATCHES)]
    samples = size_of(drawn[0])
    # Beyond the last batch come the same ones again.
    there = range(len({id(batch) for batch in drawn}))
    return [step for step in there if size_of(drawn[step]) == samples], samples


def share_of_noise(squares: Sequence[float], products: Sequence[float]) -> tuple[float, float] | None:
    """The share of noise in a batch's squared gradient, and its standard error (jackknife over the batches).

    ``squares``: ‖g_i‖² of each; ``products``: g_i · the sum of all. None where nothing is finite or all is zero.
    """
    count, square, of_sum = len(squares), math.fsum(squares), math.fsum(products)
    if not math.isfinite(square) or not math.isfinite(of_sum) or min(squares) == square:
        return None
    share = _share(count, square, of_sum)
    without = [
        _share(count - 1, square - one, of_sum - 2 * product + one)
        for one, product in zip(squares, products, strict=True)
    ]
    mean = math.fsum(without) / count
    return share, math.sqrt((count - 1) / count * math.fsum((one - mean) ** 2 for one in without))


def _share(count: int, square: float, of_sum: float) -> float:
    """``square``: sum of ‖g_i‖²; ``of_sum``: ‖sum of g_i‖²."""
    signal = (of_sum - square) / (count * (count - 1))
    return 1 - signal / (square / count)


def _product(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    pairs = ((a.to(_wide(a)), b.to(_wide(b))) for a, b in zip(one, other, strict=True))
    return math.fsum(float(torch.real(a.conj() * b).sum()) for a, b in pairs)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
