"""A dropout that keeps next to nothing is told at its line; strong dropout that a net learns under is not."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.record import Finding, Severity


class Net(nn.Module):
    def __init__(self, width: int, layers: int, share: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width if at else 64, width) for at in range(layers))
        self.head, self.share = nn.Linear(width, 10), share

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.dropout(torch.relu(layer(x)), self.share, self.training)
        return self.head(x)


def _found(width: int, layers: int, share: float, *, fresh: bool, training: bool = True) -> list[Finding]:
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    torch.manual_seed(0)
    model = Net(width, layers, share).train(training)
    loader = DataLoader(TensorDataset(x.float() / 16, y), batch_size=64, shuffle=True)
    batch = loader if fresh else next(iter(loader))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    report = sg.check(model, batch, nn.CrossEntropyLoss(), optimizer=optimizer, trial=None if fresh else 10)
    return [one for one in report.findings if "dropout drops" in one.message]


@pytest.mark.parametrize(
    ("width", "layers", "share", "fresh"),
    [(64, 2, 0.98, True), (64, 2, 0.98, False), (512, 2, 0.98, False), (64, 2, 0.95, True)],
)
def test_one_that_keeps_next_to_nothing(width: int, layers: int, share: float, fresh: bool) -> None:
    (found,) = _found(width, layers, share, fresh=fresh)
    assert (found.code, found.severity) == ("SG109", Severity.ERROR)
    assert found.location is not None
    assert found.location.text == "F.dropout(torch.relu(layer(x)), self.share, self.training)"


@pytest.mark.parametrize(
    ("width", "layers", "share", "fresh"),
    [(64, 1, 0.5, True), (64, 2, 0.8, True), (64, 1, 0.9, True), (2048, 2, 0.98, False)],
)
def test_one_that_a_net_learns_under(width: int, layers: int, share: float, fresh: bool) -> None:
    assert _found(width, layers, share, fresh=fresh) == []


def test_one_that_is_not_at_work() -> None:
    assert _found(64, 2, 0.98, fresh=False, training=False) == []
