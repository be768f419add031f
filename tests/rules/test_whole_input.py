"""A cut behind which nothing of the input is left to learn from is an error; behind a backbone that was trained, a warning."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.record import Severity


class Picks(nn.Module):
    """Few elements read the input, and most of the model lies behind the cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(16, 4), nn.BatchNorm1d(4)
        self.rest = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(torch.from_numpy(self.norm(self.first(x)).detach().numpy()))


def _train_first(model: Picks, x: torch.Tensor, y: torch.Tensor) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model.rest(model.norm(model.first(x))), y).backward()
        optimizer.step()
    model.rest = Picks().rest


def _found(*, trained: bool) -> Severity:
    torch.manual_seed(0)
    x = torch.randn(1024, 16)
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = Picks()
    if trained:
        _train_first(model, x, y)
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
    report = sg.check(model, loader, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-4))
    (found,) = (one for one in report.findings if one.code == "SG107")
    assert found.evidence[0].value < 0.3
    return found.severity


@pytest.mark.long
@pytest.mark.parametrize(("trained", "severity"), [(False, Severity.ERROR), (True, Severity.WARNING)])
def test_what_lies_in_front_of_the_cut_decides(trained: bool, severity: Severity) -> None:
    assert _found(trained=trained) is severity
