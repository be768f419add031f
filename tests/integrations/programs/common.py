"""What the programs of this folder share: a net, batches of which one is 10,000 times too large, and how they are watched.

Each takes HOW (bare, line, callback), the journal's path and the path of its result: a fingerprint of all weights at the end.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
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


def arguments() -> tuple[str, str, str]:
    how, journal, result = sys.argv[1:4]
    return how, journal, result


def finish(model: nn.Module, result: str) -> None:
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    Path(result).write_text(digest.hexdigest())
