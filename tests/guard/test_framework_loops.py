"""Loops that frameworks make: the bad step is named, norms and the clip's share are right, nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import always
from tests.guard import framework_loops
from tests.guard.loops import Loop
from tests.guard.runs import bare
from tests.guard.test_loops import Watching, hold


@pytest.mark.long
@pytest.mark.parametrize("bad", always([60, 5], "60"))
@pytest.mark.parametrize("loop", always(framework_loops.LOOPS, "accelerate", name=lambda one: one.__name__))
def test_a_framework_s_loop_with_one_bad_batch(loop: Loop, bad: int, tmp_path: Path) -> None:
    expected = loop(bare, bad)
    assert len(expected.norms[0]) == 120
    watching = Watching(tmp_path / "run.sgj")
    hold(watching, loop(watching, bad), expected, bad)
    assert sum(expected.acted) > 0
