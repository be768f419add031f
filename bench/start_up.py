"""What `steadygrad run` adds to a script's own time before and after: ``python -m bench.start_up [--rounds N]``.

Processor time of the whole process, plain and watched in turn, so that other work on the machine counts for neither. The
script trains a small net for a few steps: what is added is start-up, the first look, and the summary at the end.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(32, 64), torch.randint(0, 10, (32,))
for _ in range(20):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9)
    rounds = arguments.parse_args().rounds
    watched = {
        "plain": [sys.executable],
        "watched": [sys.executable, "-m", "steadygrad", "run", "--no-journal"],
        "watched, with a journal": [sys.executable, "-m", "steadygrad", "run"],
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(SCRIPT)
        for start in watched.values():  # What is imported is compiled once.
            seconds(start, folder)
        spent = {name: [seconds(start, folder) for _ in range(rounds)] for name, start in watched.items()}
    plain = statistics.median(spent["plain"])
    for name, times in spent.items():
        median = statistics.median(times)
        print(f"{name:24} {median:.2f} s   {median / plain:.2f}x plain   +{median - plain:.2f} s")


def seconds(start: list[str], folder: str) -> float:
    """Processor time of one run of the script."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*start, "train.py"], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
