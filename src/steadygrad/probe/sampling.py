"""A few elements of a tensor stand for all of it: what the tape keeps of each operation, and what is computed from it.

While the model runs only a few thousand elements are copied, by indices that are made once for a shape; every
statistic is computed after the pass, on all samples of one shape together. Knows tensors; knows nothing of operations.

The elements lie in columns: a column is one place of a sample (a unit at a position), and holds that place for a few
samples of the batch, others in every column. Along each dimension the columns are spread evenly (a Latin hypercube,
ordered by an additive recurrence), so that no stride falls into step with the channels.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from steadygrad.probe.layout import Layout, by_shape
from steadygrad.record import OutputStatistics

# With n independent elements the standard deviation is off by 1 ÷ √(2n): 1.1 % for 4,096, 0.8 % for 8,192.
FEWEST = 4096
MOST = 12288
SHARE = 2
"""Of a tensor between the two, every second element."""

ROWS = 4
"""Samples in a column where there are too many columns for all of them."""

GOLDEN = (math.sqrt(5) - 1) / 2

KEPT = 256
"""Shapes whose indices are kept; at most 100 kB each."""

STACKED = 2**18
"""Elements of which statistics are computed at once: a megabyte, which stays in a cache."""


class Pattern(NamedTuple):
    """The sampled elements of a tensor: offsets into its storage, (rows, columns), and each column's place."""

    offsets: Tensor
    span: int
    places: tuple[Tensor, ...]
    """For each dimension of the tensor, the index of every column; 0 along the dimension of the samples."""


def take(tensor: Tensor, batch_size: int | None, layout: Layout | None = None) -> Tensor | None:
    """Take at most 12,288 evenly spread elements, detached and copied, as (rows, columns); None for an empty tensor.

    The elements of a column are the same place in several samples; where no dimension runs over the batch there is one row.
    """
    if tensor.numel() == 0 or tensor.layout is not torch.strided:
        return None
    view = tensor.detach()
    if type(view) is not Tensor and hasattr(view, "to_local"):
        view, layout = view.to_local(), None  # Of a distributed tensor, what lies here.
    layout = layout or by_shape(view.shape, batch_size)
    picked: Tensor
    if view.numel() <= FEWEST:
        picked = _all(view, batch_size, layout)
    else:
        pattern = pattern_of(view, batch_size, layout)
        flat = view.as_strided((pattern.span,), (1,))
        picked = flat.index_select(0, pattern.offsets.view(-1)).view(pattern.offsets.shape)
    if picked.is_complex():
        picked = picked.abs()
    return picked.to(torch.float32, copy=picked.dtype is torch.float32 and view.numel() <= FEWEST)


def _all(view: Tensor, batch_size: int | None, layout: Layout | None) -> Tensor:
    """Every element, one row for each sample."""
    if layout is None or batch_size is None:
        return view.reshape(1, -1)
    at, inner = layout
    if inner > 1 or view.shape[at] > batch_size:
        view = view.reshape(*view.shape[:at], -1, batch_size, inner, *view.shape[at + 1 :])
        at += 1
    view = view.movedim(at, 0) if at else view
    return view.reshape(batch_size, -1)


def places(tensor: Tensor, batch_size: int | None, layout: Layout | None, dimension: int) -> Tensor:
    """Index along ``dimension`` of each column that ``take`` takes."""
    layout = layout or by_shape(tensor.shape, batch_size)
    if tensor.numel() > FEWEST:
        return pattern_of(tensor, batch_size, layout).places[dimension]
    shape = [1] * tensor.dim()
    shape[dimension] = tensor.shape[dimension]
    index = torch.arange(tensor.shape[dimension], device=tensor.device).view(shape).expand(tensor.shape)
    return _all(index, batch_size, layout)[0]


def pattern_of(tensor: Tensor, batch_size: int | None, layout: Layout | None) -> Pattern:
    """The elements to take of a tensor of this shape and these strides."""
    size = batch_size if batch_size is not None and layout is not None else 1
    return _pattern(tuple(tensor.shape), tensor.stride(), layout or Layout(0), size, tensor.device)


@lru_cache(maxsize=KEPT)
def _pattern(
    shape: tuple[int, ...], strides: tuple[int, ...], layout: Layout, samples: int, device: torch.device
) -> Pattern:
    at, inner = layout
    step = inner * strides[at]
    # (size, stride) of everything but the samples; the batch's own dimension has what was folded around and into it.
    rest = [(n, s) for d, (n, s) in enumerate(zip(shape, strides, strict=True)) if d != at or samples == 1]
    folds = [(shape[at] // (inner * samples), step * samples), (inner, strides[at])] if samples > 1 else []
    axes = [*rest, *folds]
    total = math.prod(n for n, _ in axes)
    budget = min(MOST, max(FEWEST, total * samples // SHARE))
    columns = min(total, budget // min(samples, ROWS))
    rows = min(samples, budget // columns)
    index, more = _columns([n for n, _ in axes], columns, total)
    offsets = sum(((i * s) for i, (_, s) in zip(index, axes, strict=True)), torch.zeros(columns, dtype=torch.int64))
    if samples > 1:
        offsets = offsets + _rows(rows, samples, more) * step
    places = index[: len(rest)]
    if samples > 1:
        places.insert(at, torch.zeros(columns, dtype=torch.int64))
    span = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    return Pattern(offsets.reshape(rows, columns).to(device), span, tuple(place.to(device) for place in places))


def _columns(sizes: Sequence[int], columns: int, total: int) -> tuple[list[Tensor], Tensor]:
    """An index along each axis for each column, and three numbers in [0, 1) to choose its samples by.

    An additive recurrence with the powers of the generalised golden ratio (Roberts 2018, the R sequence) orders the
    columns along every axis, and its ranks spread them: each index is taken equally often.
    """
    wide = [axis for axis, n in enumerate(sizes) if n > 1] if columns < total else []
    ratio = 2.0
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (len(wide) + 4))
    steps = torch.arange(columns, dtype=torch.float64)
    index = [torch.zeros(columns, dtype=torch.int64) for _ in sizes]
    for power, axis in enumerate(wide, 4):
        ranks = ((0.5 + steps * ratio**-power) % 1).argsort().argsort()
        # Where there are more indices than columns, one of each group: the middle would fall into step with the units.
        within = (ranks * GOLDEN) % 1 if sizes[axis] > columns else 0.5
        index[axis] = ((ranks + within) * sizes[axis] / columns).long().clamp_(max=sizes[axis] - 1)
    if columns == total:
        flat = torch.arange(columns)
        for axis in reversed(range(len(sizes))):
            index[axis] = flat % sizes[axis]
            flat = flat // sizes[axis]
    return index, torch.stack([(0.5 + steps * ratio**-power) % 1 for power in (1, 2, 3)])


def _rows(rows: int, samples: int, numbers: Tensor) -> Tensor:
    """Choose the samples of each column, (rows, columns): all, or a first one and others at every distance from it.

    Were the distances fixed, what sets two samples apart would be seen of a few pairs alone.
    """
    if rows == samples:
        return torch.arange(rows)[:, None]
    start, first, turn = numbers
    number = torch.arange(rows - 1)
    begin, end = (samples - 1) * number // (rows - 1), (samples - 1) * (number + 1) // (rows - 1)
    within = (first + number[:, None] * turn) % 1
    apart = 1 + begin[:, None] + ((end - begin)[:, None] * within).long()
    columns: Tensor = ((start * samples).long() + torch.cat([torch.zeros_like(apart[:1]), apart])) % samples
    return columns


def statistics(
    samples: Sequence[Tensor | None], separable: Sequence[bool], batch_size: int | None = None
) -> list[OutputStatistics | None]:
    """Mean, standard deviation, spread and greatest magnitude of each sample."""
    return in_stacks(samples, lambda stack, members: _statistics(stack, [separable[i] for i in members], batch_size))


def in_stacks(samples: Sequence[Tensor | None], compute: Callable[[Tensor, list[int]], list[Any]]) -> list[Any]:
    """Apply ``compute`` to all samples of one shape at once; results in the order of ``samples``, None for None."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        if sample is not None:
            groups[tuple(sample.shape)].append(i)
    results: list[Any] = [None] * len(samples)
    for shape, group in groups.items():
        most = max(1, STACKED // math.prod(shape))
        for members in (group[i : i + most] for i in range(0, len(group), most)):
            stack = torch.stack([samples[i] for i in members])  # type: ignore[misc]
            for i, result in zip(members, compute(stack, members), strict=True):
                results[i] = result
    return results


def _statistics(stack: Tensor, separable: list[bool], batch_size: int | None) -> list[OutputStatistics]:
    """(operations, rows, columns) → one record each; in float32, so that spread has a floor of about 1e-14."""
    energy = stack.square().mean((1, 2))
    mean = stack.mean((1, 2))
    std = (energy - mean.square()).clamp(min=0).sqrt()
    largest = stack.abs().amax((1, 2))
    spreads = spread(stack, batch_size).tolist() if stack.shape[1] > 1 else [math.nan] * len(stack)
    return [
        OutputStatistics(mean, std, share if apart and math.isfinite(share) else None, big)
        for mean, std, share, big, apart in zip(
            mean.tolist(), std.tolist(), spreads, largest.tolist(), separable, strict=True
        )
    ]


def spread(stack: Tensor, batch_size: int | None = None) -> Tensor:
    """Share of energy that differs between samples, (..., rows, columns) → (...): ‖h − mean over batch‖² ÷ ‖h‖².

    A column of a few rows has a mean of its own, which takes 1 ÷ rows of the difference; the whole batch's, 1 ÷ samples.
    """
    rows = stack.shape[-2]
    share: Tensor = (stack - stack.mean(-2, keepdim=True)).square().sum((-2, -1)) / stack.square().sum((-2, -1))
    if batch_size is None or batch_size <= rows:
        return share
    return (share * (rows / (rows - 1) * (batch_size - 1) / batch_size)).clamp(max=1)
