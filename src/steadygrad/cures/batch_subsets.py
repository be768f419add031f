"""Parts of a batch, by sample: for steps on fewer of them, and for what is held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import size_of
from steadygrad.copies.randomness import same_randomness, seed_torch
from steadygrad.copies.silence import silent
from steadygrad.objective import Objective
from steadygrad.probe.run_probe import scalar
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy
from steadygrad.torch_internals.tensors import tree_leaves, tree_map


def divisible(subject: Subject, smallest: int) -> int | None:
    """Samples in the batch, where it can be cut: every tensor has one row for each, and the model takes ``smallest`` of them.

    None where it cannot: some models have the batch's size, or its samples' neighbours, built in.
    """
    batch, count = subject.batch, size_of(subject.batch)
    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.dim()]
    if count is None or count < smallest or any(tensor.shape[0] != count for tensor in tensors):
        return None
    with silent(), with_copy(subject, optimizer=False) as run, torch.no_grad():
        try:
            run.objective(run.model, clone_batch(rows(batch, torch.arange(smallest))))
        except Exception:
            # Whatever it says, the answer is the same: then the batch stays whole.
            return None
    return count


def shuffled(count: int, seed: int) -> Tensor:
    """The numbers of the samples in an order that the seed decides."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def rows(batch: Any, chosen: Tensor) -> Any:
    """The same structure with these samples alone."""
    return tree_map(lambda leaf: leaf[chosen] if isinstance(leaf, Tensor) and leaf.dim() else leaf, batch)


def with_fewer(subject: Subject, most: int) -> Subject:
    """The subject on at most so many samples of its batch; as it is where the batch is smaller, or cannot be cut."""
    if (size_of(subject.batch) or 0) <= most:
        return subject
    count = divisible(subject, most)
    if count is None:
        return subject
    return replace(subject, batch=rows(subject.batch, shuffled(count, subject.seed)[:most]))


def adds_up(subject: Subject) -> bool:
    """Whether the loss is a sum over the samples: that of half the batch given twice is twice that of the half."""
    half = torch.arange((size_of(subject.batch) or 0) // 2)
    losses = []
    for chosen in (half, torch.cat([half, half])):
        with silent(), with_copy(subject, optimizer=False) as run, same_randomness(), torch.no_grad():
            seed_torch(subject.seed)
            try:
                loss = run.objective(run.model, clone_batch(rows(subject.batch, chosen)))[0]
                losses.append(float(scalar(loss)))
            except Exception:
                # As above: then the batch stays whole.
                return False
    once, twice = losses
    return abs(twice - 2.0 * once) < abs(twice - once)


def as_whole(objective: Objective, count: int) -> Objective:
    """The loss of a part of ``count`` samples as it would be of all, where it adds up: loss and gradient in proportion."""

    def enlarged(model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
        loss, output = objective(model, batch)
        return scalar(loss) * (count / (size_of(batch) or count)), output

    return enlarged
