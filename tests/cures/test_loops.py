"""A loop h + f(h) that multiplies the signal: its loss begins far above that of the mean answer, and falls without learning."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import steadygrad as sg


class Looped(nn.Module):
    """The same residual step, again and again: unscaled, it multiplies the signal."""

    def __init__(self, steps: int, scale: float) -> None:
        super().__init__()
        self.into, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
        self.steps, self.scale = steps, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = self.into(x)
        for _ in range(self.steps):
            state = state + self.scale * self.f(state)
        return self.head(state)


def digits(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    x, y = (x - x.mean()) / x.std(), torch.tensor(data.target)
    chosen = torch.randint(0, len(x), (128,), generator=torch.Generator().manual_seed(step))
    return x[chosen], y[chosen]


def looped(scale: float) -> Looped:
    torch.manual_seed(0)
    return Looped(50, scale)


@pytest.mark.long
def test_a_loop_whose_steps_are_scaled_is_healthy_after_few_steps() -> None:
    report = sg.check(looped(1 / 50), digits, nn.functional.cross_entropy, optimizer="adam:1e-3")
    assert report.verdict is sg.Verdict.HEALTHY, report.findings
    assert report.trial is not None and report.trial.steps < 10


@pytest.mark.long
def test_a_loop_that_multiplies_the_signal_is_at_risk_though_the_loss_falls() -> None:
    """Three steps take 98 % of the loss, and 0.52 of the digits are right after 300; of the scaled one's all are."""
    report = sg.check(looped(1.0), digits, nn.functional.cross_entropy, optimizer="adam:1e-3")
    assert report.trial is not None and report.trial.steps >= 100 and report.trial.fall > 0.97
    assert report.verdict is not sg.Verdict.HEALTHY
    assert [one.code for one in report.findings] == ["SG202"]


@pytest.mark.long
def test_such_a_loop_is_cured_by_smaller_steps_and_ends_where_steps_of_one_nth_do() -> None:
    cured = sg.cure(looped(1.0), digits, nn.functional.cross_entropy, optimizer="adam:1e-3", only="depth-scale")
    assert cured.taken is not None, cured.words
    by_hand = looped(1 / 50)
    ends = []
    for model, optimizer in ((cured.model, cured.optimizer), (by_hand, torch.optim.Adam(by_hand.parameters(), 1e-3))):
        for step in range(200):
            optimizer.zero_grad()
            x, y = digits(step + 1000)
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        x, y = digits(1)
        with torch.no_grad():
            answers = model(x)
        ends.append(
            (1 - float(nn.functional.cross_entropy(answers, y)) / math.log(10), (answers.argmax(1) == y).float().mean())
        )
    for own, other in zip(*ends, strict=True):
        assert own >= 0.95 * other, ends
