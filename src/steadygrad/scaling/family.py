"""A family of models as subjects, by size and seed: what ``scale`` and ``scale_depth`` measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from steadygrad.copies.randomness import seed_torch
from steadygrad.scaling.adaptive import is_adaptive
from steadygrad.source.user_errors import running_theirs
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject, make_subject

M = TypeVar("M")


@dataclass(frozen=True)
class Measured(Generic[M]):
    """What was measured of each member, by size and seed; the class of the models, and of the optimizer they have."""

    at: tuple[tuple[M, ...], ...]
    model: str
    optimizer: str
    adaptive: bool


def family(
    build: Callable[[int], nn.Module],
    batch: Any,
    loss_fn: Callable[..., torch.Tensor] | None,
    optimizer: OptimizerLike,
) -> Callable[[int, int], Subject]:
    """The subject of a size and a seed; every member has the same batch."""

    def member(size: int, seed: int) -> Subject:
        seed_torch(seed)
        return make_subject(build(size), batch, loss_fn, optimizer=optimizer, seed=seed)

    return member


def measured(
    member: Callable[[int, int], Subject],
    sizes: Iterable[int],
    seeds: int,
    measure: Callable[[Subject], M],
    say: Callable[[str], None],
    argument: str,
) -> Measured[M]:
    """Build and measure every member. Whether the optimizer is adaptive is asked of the first."""
    at: list[tuple[M, ...]] = []
    model, optimizer, adaptive = "", "", False
    for size in sizes:
        members: list[M] = []
        for seed in range(seeds):
            say(f"{argument} {size}, seed {seed + 1} of {seeds}")
            subject = member(size, seed)
            model, optimizer = type(subject.model).__name__, type(subject.optimizer).__name__
            with running_theirs("the model, its loss or its optimizer raised this while it was stepped"):
                adaptive = adaptive if at or members else is_adaptive(subject)
                members.append(measure(subject))
        at.append(tuple(members))
    return Measured(tuple(at), model, optimizer, adaptive)
