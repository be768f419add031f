"""Standing watch takes at most half a second more than running the script plainly."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from tests.launch.pairs import SCRIPTS, STEADYGRAD

MOST = 0.5
"""Seconds of processor time: other work on the machine counts for neither."""


def test_start_up_and_the_first_look(tmp_path: Path) -> None:
    plain, ours = [sys.executable], [STEADYGRAD, "run", "--no-journal"]
    seconds(ours, tmp_path)  # What is imported is compiled once.
    spent = [seconds(ours, tmp_path) - seconds(plain, tmp_path) for _ in range(3)]
    assert min(spent) <= MOST, spent


def seconds(start: list[str], cwd: Path) -> float:
    """Processor time of one run of the plain script."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*start, str(SCRIPTS / "plain.py")],
        cwd=cwd,
        env={"OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": str(cwd / "compiled"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
