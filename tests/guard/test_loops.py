"""Loops as people write them: the bad step is named at once, raw norms and the clip's share are right, nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad
from steadygrad.journal.read import read
from tests.families import always
from tests.guard import loops
from tests.guard.loops import Course, Loop
from tests.guard.runs import bare

EXPLODES = ("SG201", "SG206", "SG207")


class Watching:
    """Default settings, and a journal to read it back from."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.said: list[str] = []
        self.guard: Any = None

    def __call__(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        one = optimizers[0] if len(optimizers) == 1 else list(optimizers)
        self.guard = steadygrad.guard(model, one, journal=self.journal, say=self.said.append)


def hold(watching: Watching, found: Course, expected: Course, bad: int) -> None:
    """What a guard saw of a loop is what the loop saw of itself."""
    guard = watching.guard
    guard.detach()
    assert [line for line in watching.said if "failed" in line] == []
    assert found.print == expected.print, "the guard changed something"
    for index, norms in enumerate(expected.norms):
        if not watching.journal.exists():
            break  # One of several processes writes it.
        series = read(watching.journal).series
        mine = series.counts[:, index] > 0
        np.testing.assert_allclose(series.high[mine, index], norms, rtol=1e-5)
        assert norms[bad - 1] > 100 * np.median(norms[: bad - 1] or norms[bad:]), "the batch was not bad"
    told = [(alarm.step, alarm.delay, alarm.noticed) for alarm in guard.alarms if alarm.code in EXPLODES]
    assert told[:1] == [(bad, 0, bad)], [alarm.message for alarm in guard.alarms]
    assert [alarm.message for alarm in guard.alarms if alarm.code in ("SG306", "SG307")] == []
    share = sum(expected.acted) / sum(map(len, expected.norms))
    assert guard.clipped_share == pytest.approx(share)


@pytest.mark.parametrize("bad", always([60, 5], "60"))
@pytest.mark.parametrize(
    "loop",
    always(
        [*loops.PLAIN, *loops.CLIPPED, *loops.MORE],
        "plain",
        "takes_loss",
        "by_hand",
        "scaled_and_clipped",
        "lbfgs",
        name=lambda one: one.__name__,
    ),
)
def test_a_loop_with_one_bad_batch(loop: Loop, bad: int, tmp_path: Path) -> None:
    expected = loop(bare, bad)
    watching = Watching(tmp_path / "run.sgj")
    hold(watching, loop(watching, bad), expected, bad)
    if expected.acted and loop is not loops.always:
        assert 0 < sum(expected.acted) < len(expected.acted) / 2, "the clip is to act on some steps"


@pytest.mark.long
@pytest.mark.parametrize("every", [1, 3])
def test_the_share_of_a_clip_does_not_depend_on_how_many_steps_are_read(every: int) -> None:
    made: list[Any] = []

    def watch(model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        made.append(steadygrad.guard(model, optimizers[0], every=every, say=lambda line: None))

    course = loops.by_name(watch, 60)
    made[0].detach()
    assert made[0].clipped_share == pytest.approx(sum(course.acted) / len(course.acted))
