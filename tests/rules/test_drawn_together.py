"""Embeddings that the steps draw into one point are told; those that come apart are not."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.record import Severity


def hardest(embedding: Tensor, label: Tensor) -> Tensor:
    """The farthest of the same label less the nearest of another, with a margin of 0.5: 0.5 where all are one point."""
    distance = (embedding[:, None] - embedding[None]).pow(2).sum(-1).add(1e-9).sqrt()
    same = label[:, None] == label[None]
    return torch.relu((distance * same).amax(1) - (distance + 1e6 * same).amin(1) + 0.5).mean()


@pytest.mark.parametrize(("rate", "told"), [(1.0, True), (0.003, False)])
def test_by_the_rate(rate: float, told: bool) -> None:
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 16))
    loader = DataLoader(TensorDataset(x.float() / 16, y), batch_size=60, shuffle=True, drop_last=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    findings = sg.check(model, loader, hardest, optimizer=optimizer).findings
    assert (("SG105", Severity.ERROR) in [(one.code, one.severity) for one in findings]) is told
    assert not told or findings[0].location is not None
