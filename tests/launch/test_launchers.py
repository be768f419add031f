"""What a launcher starts is watched as what it was asked to start, with the options of the run, and gives what it gives bare."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from steadygrad.launch.launchers import watched_command
from steadygrad.settings import RunSettings
from tests.families import always
from tests.launch.pairs import BIN, pair

SCRIPT = """import os, sys, torch
torch.manual_seed(int(os.environ.get("RANK", 0)))
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(5):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
print(sys.argv, __name__, sys.path[0], "PYTHONPATH" in os.environ, sorted(os.environ), model.weight.sum().item())
"""
LAUNCHERS = {
    "torch.distributed.run": [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "1",
        "train.py",
        "--x",
        "1",
    ],
    "torchrun, a module": [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "1", "-m", "train", "x"],
    "accelerate": ["-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu", "train.py", "--x"],
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(LAUNCHERS, "torch.distributed.run"))
def test_what_a_launcher_starts_is_watched(name: str, tmp_path: Path) -> None:
    if name == "accelerate" and find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed")
    (tmp_path / "train.py").write_text(SCRIPT)
    both = pair(LAUNCHERS[name], tmp_path, options=["--no-journal", "--every", "2"], fresh=True)
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout != ""
    assert "steadygrad: 5 steps · no alarm" in both.watched.ours
    assert both.watched.ours[-1].endswith("those of the processes it started were watched there")


def test_a_command_is_watched_with_the_options_of_the_run_and_once() -> None:
    settings = RunSettings(clip="norm:1.0", every=3, check=False, no_journal=True)
    ours = ["-m", "steadygrad", "run", "--clip", "norm:1.0", "--every", "3", "--no-journal", "--no-check", "--"]
    once = [sys.executable, "-u", *ours, "train.py", "--lr", "1"]
    assert watched_command([sys.executable, "-u", "train.py", "--lr", "1"], settings) == once
    assert watched_command(once, settings) == once
    for other in (["bash", "train.sh"], [sys.executable, "-c", "print()"], [sys.executable]):
        assert watched_command(other, settings) == other
