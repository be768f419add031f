"""What `steadygrad run` costs where parts of a step are compiled: `python -m bench.compiled [PART …]`.

Each part in fresh processes, bare and watched in turns; told is the ratio of the least times of the steps after the second.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "tests" / "launch" / "scripts" / "compiled.py"
PARTS = ("model", "model in place", "step of the optimizer", "all")
STEPS, TURNS = 1500, 3


def seconds(command: list[str], part: str, folder: str) -> float:
    """Of the steps after the second."""
    words = [sys.executable, *command, str(SCRIPT), part, str(STEPS), "time"]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return float(ran.stdout.splitlines()[-1].split()[1])


def main(parts: list[str]) -> None:
    """A line for each part."""
    watched = ["-m", "steadygrad", "run", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        for part in parts or PARTS:
            times = [(seconds([], part, folder), seconds(watched, part, folder)) for _ in range(TURNS)]
            bare, ours = (min(one) for one in zip(*times, strict=True))
            print(f"{part:24} {1e3 * bare / STEPS:.3f} ms a step, watched x{ours / bare:.3f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
