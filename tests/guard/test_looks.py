"""A look sees the very step that it is about, however rarely steps are read, and counts the steps as the run does."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad
from tests.guard.runs import batch


@pytest.fixture(autouse=True)
def a_budget_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steadygrad.watch.budget.Budget.allows", lambda *_: True)


def watched(**options: Any) -> tuple[nn.Module, torch.optim.Optimizer, steadygrad.Guard]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, optimizer, steadygrad.guard(model, optimizer, quiet=True, say=lambda _: None, **options)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int, micro: int = 1) -> None:
    for step in range(first, last):
        optimizer.zero_grad()
        for part in range(micro):
            x, _, y = batch(micro * step + part)
            F.cross_entropy(model(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("every", [1, 2, 5, 7])
def test_looks_by_the_clock_replay_their_step(every: int) -> None:
    """The dropout makes a replay with another random state another gradient: the note would tell."""
    model, optimizer, guard = watched(every=every, probe_every=20)
    train(model, optimizer, 0, 45)
    assert [(one.step, one.note) for one in guard.looks] == [(1, ""), (20, ""), (40, "")]
    assert all(one.verdict for one in guard.looks)


@pytest.mark.parametrize("every", [1, 5])
def test_a_look_on_alarm_replays_its_step(every: int) -> None:
    model, optimizer, guard = watched(every=every)
    train(model, optimizer, 0, 30)
    x, _, y = batch(30)
    optimizer.zero_grad()
    F.cross_entropy(model(x * math.nan), y).backward()
    optimizer.step()
    guard.flush()
    (alarm,) = guard.alarms
    assert (alarm.step, alarm.cause) == (31, "the batch contains NaN")
    assert guard.looks[-1].alarm == alarm.number and guard.looks[-1].verdict


@pytest.mark.parametrize("every", [1, 4])
def test_a_look_says_that_it_saw_one_of_several_calls(every: int) -> None:
    model, optimizer, guard = watched(every=every, probe_every=10)
    train(model, optimizer, 0, 12, micro=3)
    assert [one.note for one in guard.looks] == ["covers the last of 3 forward passes of this step"] * 2


def test_nothing_is_kept_of_steps_that_are_not_read() -> None:
    model, optimizer, guard = watched(every=10)
    kept = []
    for step in range(40):
        train(model, optimizer, step, step + 1)
        model(batch(step)[0])
        kept.append(bool(guard.looking.given()))
    # What was just called is of the coming step, and the steps 1, 11, 21, 31, 41 are read.
    assert [step + 2 for step, one in enumerate(kept) if one] == [11, 21, 31, 41]


def test_after_a_restart_looks_go_on_by_the_count_of_the_run() -> None:
    model, optimizer, guard = watched(every=1, probe_every=20)
    train(model, optimizer, 0, 25)
    state = guard.state_dict()
    model, optimizer, guard = watched(every=1, probe_every=20)
    guard.load_state_dict(state)
    train(model, optimizer, 25, 45)
    assert [one.step for one in guard.looks] == [40]


@pytest.mark.parametrize("every", [1, 10])
def test_models_are_called_without_hooks(every: int) -> None:
    model, optimizer, guard = watched(every=every)
    for step in range(12):
        assert not model._forward_pre_hooks and not model._forward_hooks
        train(model, optimizer, step, step + 1)
    assert guard.looks[0].verdict
    guard.detach()


@pytest.mark.parametrize("every", [1, 5])
def test_a_loss_that_is_cut_outside_the_model_is_told_at_the_first_step(every: int) -> None:
    """No gradient comes back to the model's output, so there is nothing to replay; that is the finding."""
    model, optimizer, guard = watched(every=every)
    for step in range(12):
        x, _, _ = batch(step)
        optimizer.zero_grad()
        mask = (model(x) > 0).float().requires_grad_()
        mask.sum().backward()
        optimizer.step()
    (finding,) = guard.looks[0].findings
    assert guard.looks[0].step == 1
    assert (finding.code, str(finding.severity), finding.count) == ("SG107", "error", 6)
    assert guard.steps == 12, "it goes on watching"


def test_a_model_that_is_called_without_gradients_is_told_at_the_first_step() -> None:
    model, optimizer, guard = watched()
    for step in range(3):
        x, _, y = batch(step)
        optimizer.zero_grad()
        with torch.no_grad():
            output = model(x)
        F.cross_entropy(output.requires_grad_(), y).backward()
        optimizer.step()
    (finding,) = guard.looks[0].findings
    assert (finding.code, str(finding.severity), finding.count) == ("SG107", "error", 6)
    assert "torch.no_grad" in finding.message
    assert guard.steps == 3


@pytest.mark.parametrize(
    "options", [{}, {"clip": steadygrad.Clip.norm(0.1)}, {"on_alarm": "skip"}, {"on_alarm": "rollback"}], ids=str
)
def test_gradients_that_come_and_go_are_watched_on(options: dict[str, Any]) -> None:
    said: list[str] = []
    model = nn.Sequential(nn.Linear(24, 8), nn.Tanh(), nn.Linear(8, 5))
    optimizer = torch.optim.Adam(model.parameters())
    guard = steadygrad.guard(model, optimizer, say=said.append, **options)
    for step in range(30):
        x, _, y = batch(step)
        optimizer.zero_grad()
        if step % 5 == 2:
            for parameter in model.parameters():
                parameter.grad = None
        elif step % 5 != 4:
            F.cross_entropy(model(x), y).backward()
        optimizer.step()
    guard.detach()
    assert guard.steps == 30
    assert not [line for line in said if "failed" in line]
