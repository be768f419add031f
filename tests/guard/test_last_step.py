"""A step that changes weights by over a third near the end of a run: an alarm where it is the last, and one update."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.detect.history import PendingUpdate
from steadygrad.detect.updates import confirmed
from steadygrad.record import Alarm
from steadygrad.record.rows import Rows

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
Y = X @ torch.randn(8, 1, generator=torch.Generator().manual_seed(1))


def ran(rates: list[float], every: int = 1) -> list[Alarm]:
    """Plain SGD with a rate for each step; the loss is so flat that no rate does harm."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.guard(model, optimizer, probe_every=0, every=every, quiet=True, say=lambda line: None) as guard:
        for rate in rates:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            (model(X) - Y).square().mean().backward()
            optimizer.step()
    return guard.alarms


@pytest.mark.parametrize("every", [1, 20])
def test_a_large_step_with_harmless_ones_behind_it_is_none(every: int) -> None:
    assert not [one for one in ran([0.2, 0.02, 0.02], every) if one.code == "SG204"]


@pytest.mark.parametrize(("later", "harm"), [(3, True), (6, False)])
def test_what_grows_long_after_a_large_step_is_not_its_doing(later: int, harm: bool) -> None:
    steps = np.arange(81, 91)
    state: Any = SimpleNamespace(pending_update=PendingUpdate(80, 0, 0.4, (0,), 1.0, 0.0, 0.1))
    flat, norms = np.ones(len(steps)), np.ones((len(steps), 1), np.float32)
    rows = Rows(steps, flat, norms, norms[:, 0], norms[:, 0], flat)
    decades = np.where(steps == 80 + later, 1.0, 0.0)[:, None]
    assert bool(list(confirmed(state, rows, decades))) == harm
    assert state.pending_update is None


def test_a_large_last_step_is_one() -> None:
    (alarm,) = (one for one in ran([0.2]) if one.code == "SG204")
    assert "the run ends right after it" in alarm.message


def test_a_step_of_many_evaluations_may_be_large() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.8, max_iter=8)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = (model(X) - Y).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    before = model.weight.detach().clone()
    with sg.guard(model, optimizer, probe_every=0, quiet=True, say=lambda line: None) as guard:
        optimizer.step(closure)  # type: ignore[arg-type]
    assert (model.weight - before).norm() > before.norm() / 3
    assert guard.alarms == []
