"""A few elements of a tensor stand for all of it: what the tape keeps of each operation, and what is computed from it.

While the model runs only a strided view is copied (at most a few thousand elements); every statistic is computed
after the pass, on all samples of one shape together. Knows tensors; knows nothing of operations.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from steadygrad.record import OutputStatistics

SAMPLES = 32
FEATURES = 32


def batch_dimension(shape: torch.Size, batch_size: int | None) -> int | None:
    """The dimension that runs over the samples: the first, or where a sequence comes first, the second."""
    if batch_size is None or batch_size < 2:
        return None
    for dimension in (0, 1):
        if len(shape) > dimension and shape[dimension] == batch_size:
            return dimension
    return None


def take(tensor: Tensor, batch_size: int | None, *, features: int = FEATURES, samples: int = SAMPLES) -> Tensor | None:
    """At most (samples, features) evenly spaced elements, detached and copied; None for an empty tensor.

    Row i belongs to one sample of the batch; where no dimension runs over the batch there is a single row.
    """
    if tensor.numel() == 0 or tensor.layout is not torch.strided:
        return None
    view = tensor.detach()
    if view.dim() == 2 and view.shape[0] == batch_size and view.dtype == torch.float32:
        step = max(1, view.shape[1] // features)
        return view[:: max(1, view.shape[0] // samples), step // 2 :: step][:samples, :features].clone()
    rows = batch_dimension(view.shape, batch_size)
    if rows is None:
        view = view.unsqueeze(0)
    elif rows:
        view = view.transpose(0, rows)
    if view.numel() <= samples * features:
        picked = view.flatten(1) if view.dim() > 1 else view.unsqueeze(1)
    else:
        excess = view[0].numel() / features
        index: list[slice] = [slice(None, None, max(1, view.shape[0] // samples))]
        steps = [1] * (view.dim() - 1)
        for dimension in range(view.dim() - 1, 0, -1):
            step = min(view.shape[dimension], max(1, math.ceil(excess)))
            steps[dimension - 1] = step
            excess /= step
        index += [slice(step // 2, None, step) for step in steps]
        picked = view[tuple(index)]
        picked = picked.flatten(1) if picked.dim() > 1 else picked.unsqueeze(1)
        if picked.shape[1] > 4 * features:
            picked = picked[:, : 4 * features]
        picked = picked[:samples]
    if picked.is_complex():
        picked = picked.abs()
    return picked.to(torch.float32, copy=True)


def statistics(samples: Sequence[Tensor | None], separable: Sequence[bool]) -> list[OutputStatistics | None]:
    """Mean, standard deviation, spread and greatest magnitude of each sample."""
    return in_stacks(samples, lambda stack, members: _statistics(stack, [separable[i] for i in members]))


def in_stacks(samples: Sequence[Tensor | None], compute: Callable[[Tensor, list[int]], list[Any]]) -> list[Any]:
    """Apply ``compute`` to all samples of one shape at once; results in the order of ``samples``, None for None."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        if sample is not None:
            groups[tuple(sample.shape)].append(i)
    results: list[Any] = [None] * len(samples)
    for members in groups.values():
        stack = torch.stack([samples[i] for i in members])  # type: ignore[misc]
        for i, result in zip(members, compute(stack, members), strict=True):
            results[i] = result
    return results


def _statistics(stack: Tensor, separable: list[bool]) -> list[OutputStatistics]:
    """(operations, rows, features) → one record each; in float32, so that spread has a floor of about 1e-14."""
    energy = stack.square().mean((1, 2))
    mean = stack.mean((1, 2))
    std = (energy - mean.square()).clamp(min=0).sqrt()
    largest = stack.abs().amax((1, 2))
    spreads = spread(stack).tolist() if stack.shape[1] > 1 else [math.nan] * len(stack)
    return [
        OutputStatistics(mean, std, share if apart and math.isfinite(share) else None, big)
        for mean, std, share, big, apart in zip(
            mean.tolist(), std.tolist(), spreads, largest.tolist(), separable, strict=True
        )
    ]


def spread(stack: Tensor) -> Tensor:
    """Share of energy that differs between rows, (..., rows, features) → (...): ‖h − mean over rows‖² ÷ ‖h‖²."""
    return (stack - stack.mean(-2, keepdim=True)).square().sum((-2, -1)) / stack.square().sum((-2, -1))
