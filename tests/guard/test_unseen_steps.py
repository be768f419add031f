"""Steps that call no hook of the optimizer, compiled or replaced: judged by the gradients of their backward passes, and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from steadygrad.journal.read import read
from steadygrad.report.alarms import UNSEEN
from tests.families import always
from tests.guard.loops import STEPS, Course, acts, batch, net, raw
from tests.guard.runs import Watch, bare
from tests.guard.test_loops import Watching, hold

Put = Callable[[torch.optim.Optimizer], None]


def compiled(optimizer: torch.optim.Optimizer) -> None:
    torch.compiler.reset()  # Of one function only so many versions are compiled in a process.
    optimizer.step = torch.compile(optimizer.step, backend="eager")  # type: ignore[method-assign]


def replaced(optimizer: torch.optim.Optimizer) -> None:
    """Another function that takes the step: plain gradient descent."""

    def step(closure: Any = None) -> None:
        with torch.no_grad():
            for p in optimizer.param_groups[0]["params"]:
                p.sub_(1e-5 * p.grad)

    optimizer.step = step  # type: ignore[method-assign, assignment]


def loop(put: Put, watch: Watch, bad: int, *, parts: int = 1, scaled: bool = False, clears: bool = True) -> Course:
    """``parts``: backward passes of a step; ``scaled``: by a scaler whose scale grows on the way."""
    course, model = Course(), net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    put(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4, growth_interval=25, enabled=scaled)
    for step in range(1, STEPS + 1):
        for part in range(parts):
            x, y = batch(parts * step + part, parts * bad + parts // 2)
            loss = F.mse_loss(model(x), y) / parts
            scaler.scale(loss).backward()
            course.losses.append(loss.item())
        if scaled:
            scaler.unscale_(optimizer)
        course.norms[0].append(raw(model.parameters()))
        total = clip_grad_norm_(model.parameters(), 20.0)
        course.acted.append(acts(total.item(), 20.0))
        scaler.step(optimizer)
        scaler.update()
        if clears:
            optimizer.zero_grad()
    return course.ended(model, [optimizer])


WAYS: dict[str, Any] = {"one backward pass": {}, "accumulation": {"parts": 4}, "scaler": {"scaled": True}}


@pytest.mark.parametrize("bad", always([60, 5, STEPS], "60"))
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("put", always([compiled, replaced], "replaced", name=lambda put: put.__name__))
def test_the_bad_batch_is_named_and_norms_and_clip_are_right(put: Put, way: str, bad: int, tmp_path: Path) -> None:
    options = WAYS[way]
    expected = loop(put, bare, bad, **options)
    watching = Watching(tmp_path / "run.sgj")
    hold(watching, loop(put, watching, bad, **options), expected, bad)
    assert watching.guard.steps == STEPS
    parts = options.get("parts", 1)
    losses = np.array(expected.losses).reshape(STEPS, parts).sum(axis=1)
    np.testing.assert_allclose(read(tmp_path / "run.sgj").series.losses, losses, rtol=1e-5)
    assert [line for line in watching.said if "called no hook" in line] == [UNSEEN.format(3)]


def test_a_loop_that_never_clears_is_told(tmp_path: Path) -> None:
    watching = Watching(tmp_path / "run.sgj")
    loop(replaced, watching, -1, clears=False)
    watching.guard.detach()
    assert [alarm.step for alarm in watching.guard.alarms if alarm.code == "SG307"] == [2]


def test_weights_that_a_program_writes_once_are_no_step(tmp_path: Path) -> None:
    """As after a dry run of one batch, from which the weights are restored."""
    watching, model = Watching(tmp_path / "run.sgj"), net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    watching(model, [optimizer])
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    for number in range(1, 6):
        x, y = batch(number, -1)
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        if number == 1:
            model.load_state_dict(kept)
        else:
            optimizer.step()
    assert [line for line in watching.said if "called no hook" in line] == []


def test_a_gradient_that_no_step_follows_is_let_go_of(tmp_path: Path) -> None:
    """From the second step on: nothing of a step is held while the next one runs forward."""
    watching, model = Watching(tmp_path / "run.sgj"), net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    watching(model, [optimizer])
    replaced(optimizer)
    for number in range(1, 6):
        x, y = batch(number, -1)
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        assert number < 3 or watching.guard.optimizers[0].watch.gradients == []
