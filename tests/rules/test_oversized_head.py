"""A head whose weights are out of scale with the trunk is named at its call; one that is scaled, or suits the trunk, is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg

WORDS, WIDTH = 64, 64


class Tied(nn.Module):
    """One table, drawn with ``std``, is embedding and head; ``factor`` stands in front of the head."""

    def __init__(self, std: float, factor: float = 1.0) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)
        nn.init.normal_(self.table.weight, std=std)
        self.fc, self.norm, self.factor = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), factor

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        x = self.norm(x + torch.relu(self.fc(x)))
        return F.linear(self.factor * x, self.table.weight)


class Picture(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 64, 3), nn.ReLU()
        )
        self.head = nn.Linear(64 * 36, 10)
        nn.init.normal_(self.head.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x).flatten(1))
        return out


def words(seed: int = 0, rows: int = 256) -> tuple[Tensor, Tensor]:
    ids = torch.randint(0, WORDS, (rows,), generator=torch.Generator().manual_seed(seed))
    return ids, (7 * ids + 3) % WORDS


def pictures() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(0, 10, (128,), generator=draw)
    x = torch.randn(128, 1, 8, 8, generator=draw)
    x[range(128), 0, y // 4, y % 4] += 4
    return x, y


def checked(
    make: Callable[[], nn.Module],
    batch: tuple[Tensor, Tensor],
    loss: Callable[..., Tensor] = F.cross_entropy,
    optimizer: str = "adam:1e-3",
) -> sg.Report:
    torch.manual_seed(0)
    return sg.check(make(), batch, loss, optimizer=optimizer)


def codes(report: sg.Report) -> list[str]:
    return [one.code for one in report.findings if one.severity != "info"]


@pytest.mark.parametrize("optimizer", ["adam:1e-3", "sgd:0.1,momentum=0.9"])
@pytest.mark.parametrize("std", [0.5, 1.0])
def test_a_tied_table_without_a_factor_is_told_where_it_makes_the_logits(std: float, optimizer: str) -> None:
    report = checked(lambda: Tied(std), words(), optimizer=optimizer)
    assert codes(report) == ["SG312"] and report.verdict is sg.Verdict.AT_RISK
    finding = report.findings[0]
    assert finding.location is not None
    assert finding.location.text == "F.linear(self.factor * x, self.table.weight)"
    assert "table.weight has weights" in finding.message
    assert "the first step moves it by" in finding.consequence


def test_a_head_of_pictures_is_told_too() -> None:
    report = checked(lambda: Picture(1.0), pictures(), optimizer="adam:1e-4")
    assert codes(report) == ["SG312"] and report.findings[0].module == "head"


def test_what_the_steps_put_right_is_a_note() -> None:
    report = checked(lambda: Picture(1.0), pictures())
    assert [one.code for one in report.findings] == ["SG312"]
    assert codes(report) == [] and report.verdict is sg.Verdict.HEALTHY


@pytest.mark.parametrize(
    ("make", "batch"),
    [
        (lambda: Tied(0.02), words),
        (lambda: Tied(WIDTH**-0.5), words),
        (lambda: Tied(1.0, WIDTH**-1.0), words),
        (lambda: Picture(0.02), pictures),
    ],
    ids=["small table", "1/√width", "a factor in front of the head", "small head"],
)
def test_a_head_of_usual_size_is_healthy(
    make: Callable[[], nn.Module], batch: Callable[[], tuple[Tensor, Tensor]]
) -> None:
    report = checked(make, batch())
    assert codes(report) == [] and report.verdict is sg.Verdict.HEALTHY


def test_the_sum_of_a_loss_is_not_compared_with_the_mean_of_equal_logits() -> None:
    def summed(out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(out, y, reduction="sum")

    assert "SG312" not in codes(checked(lambda: Tied(0.02), words(), summed))
    assert "SG312" not in codes(checked(lambda: Tied(0.02), words(), lambda out, y: 10 * F.cross_entropy(out, y)))


def test_weights_that_are_all_too_large_are_not_blamed_on_the_head() -> None:
    def wild() -> nn.Module:
        net = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
        for parameter in net.parameters():
            nn.init.normal_(parameter)
        return net

    x, y = torch.randn(128, 64, generator=torch.Generator().manual_seed(0)), torch.arange(128) % 10
    assert "SG312" not in codes(checked(wild, (x, y)))


def test_such_a_net_ends_far_above_the_same_net_with_a_smaller_table() -> None:
    ends = []
    for std in (1.0, WIDTH**-0.5):
        torch.manual_seed(0)
        model = Tied(std)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(100):
            x, y = words(step, 64)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        ends.append(loss.item())
    assert ends[0] > ends[1] + 1
