"""What a guard that acts does to a step, what it leaves behind when it stops, and what it says of its limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from steadygrad.errors import TrainingStopped

ACTIONS = ("skip", "lower", "clip", "rollback", "stop", "skip:2/100:stop")
BAD = 130
"""The step from which on batches are bad; a snapshot is kept each hundred steps."""


class Run:
    """A small net that is given bad batches from ``BAD`` on, for ``long`` steps."""

    def __init__(self, on_alarm: str, bad: float, *, long: int = 1, journal: str | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.said: list[str] = []
        self.guard = steadygrad.guard(
            self.model,
            self.optimizer,
            on_alarm=steadygrad.OnAlarm.parse(on_alarm),
            journal=journal,
            say=self.said.append,
        )
        self.before: dict[str, Tensor] = {}
        self.stopped: TrainingStopped | None = None
        try:
            for step in range(1, BAD + 20):
                self.step(step, bad if BAD <= step < BAD + long else 1.0)
        except TrainingStopped as error:
            self.stopped = error
        self.guard.detach()

    def step(self, step: int, scale: float) -> None:
        x = scale * torch.randn(16, 8)
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(x), torch.randint(0, 3, (16,))).backward()
        torch.nn.utils.clip_grad_norm_(
            self.model[2].parameters(), 10.0
        )  # A part only: a note, and no reason to keep nothing.
        if step == BAD:
            self.before = {name: one.clone() for name, one in self.model.state_dict().items()}
        self.optimizer.step()


@pytest.mark.parametrize("on_alarm", ACTIONS)
def test_a_step_that_is_not_finite_is_never_taken(on_alarm: str) -> None:
    run = Run(on_alarm, torch.nan)
    assert "SG203" in [alarm.code for alarm in run.guard.alarms]
    assert all(one.isfinite().all() for one in run.model.state_dict().values())


@pytest.mark.parametrize("on_alarm", ["stop", "skip:2/100:stop"])
def test_a_stop_leaves_the_last_good_state_beside_the_last(on_alarm: str, tmp_path: Path) -> None:
    run = Run(on_alarm, torch.nan, long=10, journal=str(tmp_path / "run.sgj"))
    assert run.stopped is not None
    good = torch.load(tmp_path / "run.good.pt", weights_only=True)
    last = torch.load(tmp_path / "run.stopped.pt", weights_only=True)
    assert max(good["steps"]) == 100 and max(last["steps"]) == BAD + 2 * on_alarm.startswith("skip")
    assert all(one.isfinite().all() for one in good["model"][0].values())
    assert all(torch.equal(last["model"][0][name], one) for name, one in run.before.items()), "no bad step was taken"


def test_an_action_that_is_taken_again_says_how_near_its_limit_is() -> None:
    run = Run("skip:3/100:stop", torch.nan, long=10)
    again = [line for line in run.said if "skipped step" in line and "[SG" not in line]
    assert [line.partition("(")[2] for line in again] == [
        "2 of at most 3 within 100 steps, then stop)",
        "3 of at most 3 within 100 steps, then stop)",
    ]
