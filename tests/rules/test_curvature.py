"""A rate too high for the curvature is told with the product, and with a rate that holds; other leaps and optimizers are not."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.record import from_jsonable, to_jsonable
from steadygrad.record.steptest import Curvature

DRAW = torch.Generator().manual_seed(0)
X = torch.randn(128, 16, generator=DRAW)
TEACHER = torch.randn(16, 4, generator=DRAW)
LINES, CLASSES = 3 * X @ TEACHER, (X @ TEACHER).argmax(1)


def plain(layers: int = 3, width: int = 64) -> nn.Module:
    torch.manual_seed(0)
    widths = [16] + [width] * layers
    hidden = [one for a, b in pairwise(widths) for one in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, 4))


def told(report: sg.Report) -> sg.Finding:
    (finding,) = (one for one in report.findings if one.code == "SG204")
    return finding


def edge(report: sg.Report) -> Curvature:
    assert report.trial is not None and report.trial.curvature is not None
    return report.trial.curvature


def test_the_curvature_of_least_squares_is_the_greatest_eigenvalue_of_its_hessian() -> None:
    torch.manual_seed(0)
    model = nn.Linear(16, 4, bias=False)
    x = X * torch.tensor([3.0] + [1.0] * 15)
    largest = float(torch.linalg.eigvalsh(2 * x.T @ x / LINES.numel())[-1])
    report = sg.check(model, (x, LINES), F.mse_loss, optimizer=f"sgd:{4 / largest}")
    seen = edge(report)
    assert seen.largest == pytest.approx(largest, rel=0.02)
    assert seen.product == pytest.approx(4, rel=0.02) and seen.limit == 2
    assert seen.stable is not None and seen.stable <= 1.02 * 2 / largest
    assert "over the 2 that gradient descent bears" in told(report).consequence


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("task", ["classes", "lines"])
def test_at_the_rate_that_is_named_the_loss_does_not_leap(task: str, momentum: float) -> None:
    y, loss, rate = (CLASSES, F.cross_entropy, 3.0) if task == "classes" else (LINES, F.mse_loss, 0.3)
    report = sg.check(plain(), (X, y), loss, optimizer=f"sgd:{rate},momentum={momentum}")
    seen = edge(report)
    assert seen.product > seen.limit == 2 * (1 + momentum)
    assert any("largest curvature" in one.name for one in told(report).evidence)
    assert seen.stable is not None and seen.stable < rate
    later = sg.check(plain(), (X, y), loss, optimizer=f"sgd:{seen.stable},momentum={momentum}")
    assert "SG204" not in [one.code for one in later.findings]


def test_what_has_no_second_derivative_has_a_curvature_too() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.qkv, self.head = nn.Linear(4, 16), nn.Linear(16, 48), nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.embed(x.view(len(x), 4, 4))
            x = x + F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1))
            out: Tensor = self.head(x.mean(1))
            return out

    torch.manual_seed(0)
    report = sg.check(Attending(), (X, LINES), F.mse_loss, optimizer="sgd:3")
    assert edge(report).product > edge(report).limit


@pytest.mark.parametrize("optimizer", ["sgd:0.1", "adam:1.0", "sgd:3,momentum=0.9,nesterov=True"])
def test_nothing_is_said_where_nothing_leaps_or_the_law_is_another(optimizer: str) -> None:
    report = sg.check(plain(), (X, CLASSES), F.cross_entropy, optimizer=optimizer)
    assert report.trial is not None and report.trial.curvature is None
    assert "curvature" not in str(report)


def test_the_record_comes_back_from_json() -> None:
    seen = Curvature(3, 12.5, 0.4, 2.0, None)
    assert from_jsonable(Curvature, to_jsonable(seen)) == seen
    assert seen.product == 5
