"""A likelihood that is minimised is told as that; what pushes log-probabilities both ways, or all of them, is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.record import Severity

Loss = Callable[[Tensor, Tensor], Tensor]
ROWS = torch.arange(64)


def _told(loss: Loss) -> list[Severity]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    x = torch.randn(64, 8)
    report = sg.check(model, (x, x[:, :4].argmax(1)), loss, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3))
    return [one.severity for one in report.findings if one.code == "SG207"]


TURNED: dict[str, Loss] = {
    "picked by index": lambda z, y: F.log_softmax(z, 1)[ROWS, y].mean(),
    "gathered": lambda z, y: torch.log_softmax(z, -1).gather(1, y[:, None]).sum(),
    "one-hot": lambda z, y: (F.one_hot(y, 4) * F.log_softmax(z, 1)).sum(1).mean(),
    "the log of a softmax": lambda z, y: torch.log(torch.softmax(z, 1)[ROWS, y]).mean(),
    "nll_loss of the wrong sign": lambda z, y: -F.nll_loss(F.log_softmax(z, 1), y),
}
RIGHT: dict[str, Loss] = {
    "nll_loss": lambda z, y: F.nll_loss(F.log_softmax(z, 1), y),
    "cross_entropy": F.cross_entropy,
    "picked by index": lambda z, y: -F.log_softmax(z, 1)[ROWS, y].mean(),
    "a policy and its advantages": lambda z, y: -(F.log_softmax(z, 1)[ROWS, y] * torch.linspace(-1, 1, 64)).mean(),
    "a policy that is punished": lambda z, y: (F.log_softmax(z, 1)[ROWS, y] * torch.linspace(1, 2, 64)).mean(),
    "an entropy to be lowered": lambda z, y: -(F.softmax(z, 1) * F.log_softmax(z, 1)).sum(1).mean(),
    "an entropy to be raised": lambda z, y: (F.softmax(z, 1) * F.log_softmax(z, 1)).sum(1).mean(),
    "a divergence": lambda z, y: F.kl_div(F.log_softmax(z, 1), torch.full((64, 4), 0.25), reduction="batchmean"),
    "a likelihood and an entropy": lambda z, y: (
        F.nll_loss(F.log_softmax(z, 1), y) + 0.1 * (F.softmax(z, 1) * F.log_softmax(z, 1)).sum(1).mean()
    ),
    "smoothed labels": lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
}


@pytest.mark.parametrize("name", TURNED)
def test_a_likelihood_that_is_minimised(name: str) -> None:
    assert _told(TURNED[name]) == [Severity.ERROR]


@pytest.mark.parametrize("name", RIGHT)
def test_a_loss_as_it_should_be(name: str) -> None:
    assert _told(RIGHT[name]) == []
