"""A loss that begins far above that of the mean answer, whose mean is as far off: a few steps say little of it."""

from __future__ import annotations

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
