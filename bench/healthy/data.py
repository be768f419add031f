"""What the architectures are fed with: small sets of dicts or pairs, for a ``DataLoader`` that shuffles them.

Each task is one that a net of the kind learns in a hundred steps, so that what is said of it is said of the architecture.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

WORDS = 40
LENGTH = 16
BATCH = 32


class Dicts(Dataset[dict[str, torch.Tensor]]):
    """Columns of one length, handed out row by row under their names."""

    def __init__(self, **columns: torch.Tensor) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {name: column[row] for name, column in self.columns.items()}


def loader(data: Dataset[Any], seed: int = 0) -> DataLoader[Any]:
    return DataLoader(
        data, batch_size=BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed), drop_last=True
    )


def counting(rows: int = 2048) -> Dicts:
    """Sequences that count up from anywhere, to be continued."""
    start = torch.randint(0, 20, (rows, 1), generator=torch.Generator().manual_seed(0))
    ids = (start + torch.arange(LENGTH)) % 20 + 5
    return Dicts(input_ids=ids, labels=ids)


def continuing(rows: int = 2048) -> Dicts:
    """Sequences that count up from anywhere, and how they go on, to be written by a decoder."""
    start = torch.randint(0, 20, (rows, 1), generator=torch.Generator().manual_seed(0))
    steps = start + torch.arange(2 * LENGTH)
    ids = steps % 20 + 5
    return Dicts(input_ids=ids[:, :LENGTH].clone(), labels=ids[:, LENGTH:].clone())


def families(rows: int = 2048) -> Dicts:
    """Sequences half of whose tokens are of one of four families: which?"""
    draw = torch.Generator().manual_seed(0)
    label = torch.randint(0, 4, (rows,), generator=draw)
    ids = torch.randint(5, 37, (rows, LENGTH), generator=draw)
    own = torch.rand(rows, LENGTH, generator=draw) < 0.5
    ids = torch.where(own, 5 + 8 * label[:, None] + ids % 8, ids)
    return Dicts(input_ids=ids, labels=label)


@cache
def digits(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    found = load_digits()
    x = torch.tensor(found.images, dtype=torch.float32)[:, None] / 8 - 1
    x = F.interpolate(x, (size, size), mode="bilinear")
    return x.expand(-1, 3, -1, -1).contiguous(), torch.tensor(found.target)


def pictures(size: int = 32) -> Dicts:
    x, y = digits(size)
    return Dicts(pixel_values=x, labels=y)


def pairs(size: int = 32) -> TensorDataset:
    return TensorDataset(*digits(size))


def tones(rows: int = 512) -> Dicts:
    """Four tones, as waves."""
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(0, 4, (rows,), generator=draw)
    time = torch.arange(1600) / 1600
    waves = torch.sin(2 * torch.pi * time * (20.0 * 2.0 ** y.float())[:, None])
    return Dicts(input_values=waves + 0.1 * torch.randn(rows, 1600, generator=draw), labels=y)
