"""A real run of each trainer, watched by callback, by one line and by ``steadygrad run``: the same in all three, and harmless."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steadygrad.journal import read
from steadygrad.record.run import Run
from tests.integrations.programs.common import BAD, STEPS

RUNS = [
    ("lightning_fit", "automatic"),
    ("lightning_fit", "accumulation"),
    ("lightning_fit", "manual"),
    ("lightning_fit", "resume"),
    ("trainer_train", "plain"),
    ("trainer_train", "resume"),
    ("accelerate_loop", "plain"),
]


def by_run(module: str, kind: str, journal: Path) -> str:
    """The program as it stands, under ``steadygrad run``; what it prints."""
    command = [sys.executable, "-m", "steadygrad", "run", "--no-check", "--quiet", "--journal", str(journal)]
    done = subprocess.run(
        [*command, "-m", f"tests.integrations.programs.{module}", kind],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def told(run: Run) -> list[tuple[Any, ...]]:
    return [(one.step, one.code, one.parameter, one.message, one.cause) for one in run.alarms]


@pytest.mark.long
@pytest.mark.parametrize(("module", "kind"), RUNS, ids=[f"{module}-{kind}" for module, kind in RUNS])
def test_a_run_is_seen_the_same_in_every_way(module: str, kind: str, tmp_path: Path) -> None:
    main = importlib.import_module(f"tests.integrations.programs.{module}").main
    bare = main("bare", kind, "")
    journals = {how: tmp_path / f"{how}.sgj" for how in ("line", "callback", "run")}
    weights = {how: main(how, kind, str(journals[how])) for how in ("line", "callback")}
    weights["run"] = by_run(module, kind, journals["run"])
    assert weights == dict.fromkeys(journals, bare), "watching changed the weights"
    if kind == "resume":
        # The program's second optimizer is the one that is compared.
        journals["run"] = tmp_path / "run-2.sgj"
    runs = {how: read(path, most=10**6) for how, path in journals.items()}
    for how, run in runs.items():
        assert run.series.steps.tolist() == list(range(1, STEPS + 1)), how
        for name in ("norms", "high", "factors"):
            wanted = getattr(runs["line"].series, name)
            np.testing.assert_array_equal(getattr(run.series, name), wanted, err_msg=f"{name}, {how}")
        assert told(run) == told(runs["line"]), how
    assert [alarm.step for alarm in runs["line"].alarms] == [BAD + 1]
