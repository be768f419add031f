"""Under a ``GradScaler`` gradients come back some thousand times larger: what is said of a step is the same as without."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad
from steadygrad.record import Alarm, Look
from tests.guard import loops
from tests.guard.runs import bare
from tests.guard.test_loops import Watching

BAD, ROW = 70, 5


def run(scale: float | None, *, unscales: bool = False, outside: bool = False) -> tuple[Look, Alarm]:
    """The first look and the alarm of a run whose step ``BAD`` has one row that is too large, or a weight's gradient that
    something changes after the backward pass (``outside``)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, enabled=scale is not None)
    with steadygrad.guard(model, optimizer, say=lambda line: None) as guard:
        for step in range(1, 81):
            x = torch.randn(32, 8)
            y = x.sum(1, keepdim=True)
            if step == BAD and not outside:
                y[ROW] = 300.0
            optimizer.zero_grad()
            scaler.scale(F.mse_loss(model(x), y)).backward()
            if unscales:
                scaler.unscale_(optimizer)
            if step == BAD and outside:
                weight = model[2].weight
                assert weight.grad is not None
                weight.grad *= 1e4
            scaler.step(optimizer)
            scaler.update()
    return guard.looks[0], guard.alarms[0]


@pytest.mark.long
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("unscales", [False, True])
def test_what_is_said_is_what_is_said_without_a_scaler(unscales: bool, outside: bool) -> None:
    bare, scaled = run(None, outside=outside), run(2.0**16, unscales=unscales, outside=outside)
    for look, _ in (bare, scaled):
        assert look.note == ""
    assert bare[0].decades == pytest.approx(scaled[0].decades, abs=1e-3)
    alarms = bare[1], scaled[1]
    assert alarms[0].rows == alarms[1].rows == (() if outside else (ROW,))
    assert alarms[0].cause.split("×")[0] == alarms[1].cause.split("×")[0]
    expected = (alarms[1].code, BAD, alarms[1].parameter)
    assert (alarms[0].code, alarms[0].step, alarms[0].parameter) == expected


@pytest.mark.long
@pytest.mark.parametrize("loop", [loops.scaled_half, loops.scaled_half_fused], ids=lambda one: one.__name__)
def test_a_bad_batch_whose_step_the_scale_leaves_out_is_named_by_its_loss(loop: loops.Loop, tmp_path: Path) -> None:
    expected = loop(bare, 60)
    watching = Watching(tmp_path / "run.sgj")
    found = loop(watching, 60)
    watching.guard.detach()
    assert found.print == expected.print, "the guard changed something"
    assert not math.isfinite(expected.norms[0][59]), "the batch was not bad"
    (alarm,) = watching.guard.alarms
    assert (alarm.code, alarm.step) == ("SG207", 60)
    assert alarm.cause == "the gradients overflow, and the loss scale leaves the step out"


def test_the_search_for_a_scale_is_no_alarm() -> None:
    """The loss of a step that is left out is as usual: the scale alone was too large."""
    said: list[str] = []
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=5)
    with steadygrad.guard(model, optimizer, quiet=True, say=said.append) as guard:
        for step in range(80):
            x = torch.randn(16, 8, generator=torch.Generator().manual_seed(step))
            with torch.autocast("cpu", torch.float16):
                loss = model(x).float().sub(x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert guard.steps < 60, "nothing was left out"
    assert said == []
