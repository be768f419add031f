"""What the programs of this folder share: a net, batches of which one is 10,000 times too large, and how they are watched.

Each has ``main(how, kind, journal)``, where HOW is bare, line or callback, which gives a fingerprint of all weights at the end;
as a program it is not watched, and prints it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

STEPS, BAD = 60, 40
OPTIONS: dict[str, Any] = {"quiet": True}
"""Of the guard, whichever way it is made."""


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Batch after batch, in order: ``length`` of them, ``bad`` the number of the one that is too large, from 0."""

    def __init__(self, length: int, bad: int) -> None:
        self.length, self.bad = length, bad

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(16, 8, generator=torch.Generator().manual_seed(index))
        x = x * 1e4 if index == self.bad else x
        return x, x.sum(1, keepdim=True)


def fingerprint(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def as_a_program(main: Callable[[str, str, str], str]) -> None:
    sys.stdout.write(f"{main('bare', sys.argv[1], '')}\n")
