"""Batch norm over two or three values is told however the loss falls; over more, or in eval mode, it is not."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.record import Severity


def _told(size: int, *, training: bool = True) -> list[tuple[str, Severity]]:
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    loader = DataLoader(TensorDataset(x.float() / 16, y), batch_size=size, shuffle=True, drop_last=True)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)).train(training)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    report = sg.check(model, loader, nn.CrossEntropyLoss(), optimizer=optimizer)
    return [(one.code, one.severity) for one in report.findings if one.code == "SG302"]


@pytest.mark.parametrize(("size", "told"), [(2, True), (3, True), (8, False), (64, False)])
def test_by_the_number_of_values(size: int, told: bool) -> None:
    assert bool(_told(size)) is told


def test_running_statistics_do_not_look_at_the_batch() -> None:
    assert _told(2, training=False) == []
