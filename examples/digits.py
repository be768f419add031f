"""The data of every example: scikit-learn's digits, 8 × 8 pictures of handwritten figures, standardised."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits


def digits(count: int = 128, *, standardise: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """The first ``count`` pictures as (count, 64) floats, and the figure each shows."""
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    if standardise:
        x = (x - x.mean()) / x.std()
    return x[:count], torch.tensor(data.target)[:count]
