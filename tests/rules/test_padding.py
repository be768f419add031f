"""A gradient that grows on padded rows alone moves no weight, and is not told where the steps learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg


class Directions(nn.Module):
    """The derivative of a normalised row of zeros is one over its epsilon."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(12, 16, bias=False)
        self.head = nn.Linear(16, 4)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(F.normalize(self.project(words), dim=-1).mean(1))


def test_rows_of_zeros_are_no_explosion() -> None:
    torch.manual_seed(0)
    words = torch.randn(64, 6, 12)
    words[:, 4:] = 0
    labels = words[:, 0, :4].argmax(1)
    model = Directions()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    report = sg.check(model, (words, labels), F.cross_entropy, optimizer=optimizer)
    assert report.trunk is not None and report.trunk.decades > 8
    assert [one.code for one in report.findings if one.severity != "info"] == []
