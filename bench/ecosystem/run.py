"""Runs one program bare and watched, each in a folder of its own, and tells the first thing that is not the same.

What is compared: the exit code, standard output, standard error less steadygrad's own lines, and every line of the recording.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ecosystem.program import Program
from bench.reports.ask import ENVIRONMENT, Told, shown

RECORDING = Path(__file__).parent / "recording"
LONGEST = 300
WAYS = {"default": (), "every 20": ("--every", "20")}
"""How a program is watched; the default reads every step."""


@dataclass(frozen=True)
class Ran:
    """One run of a program."""

    code: int
    out: str
    err: str
    """Without lines of steadygrad's."""
    lines: dict[str, list[dict[str, Any]]]
    """The recording, by process."""
    seconds: float
    journals: tuple[Told, ...]
    """What was told, by guard; none in a bare run."""
    ours: tuple[str, ...]
    """Lines of steadygrad's."""

    @property
    def step(self) -> float:
        """Median seconds of the processor from one recorded line to the next in the first process, without the recorder's own."""
        times = [line["at"] for line in next(iter(self.lines.values()), [])]
        return statistics.median(b - a for a, b in itertools.pairwise(times)) if len(times) > 2 else 0.0

    @property
    def losses(self) -> list[float]:
        first = next(iter(self.lines.values()), [])
        return [line["loss"] for line in first if line.get("loss") is not None]


def run(program: Program, options: tuple[str, ...] | None) -> Ran:
    """Bare where there are no options, else by ``steadygrad run`` with these."""
    with tempfile.TemporaryDirectory() as folder:
        into, place = Path(folder) / "recorded", Path(folder) / "place"
        into.mkdir()
        place.mkdir()
        words = [str(program.path), *program.arguments]
        if options is not None:
            words = ["-m", "steadygrad", "run", *options, *words]
        start = [sys.executable]
        if program.processes:
            python = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(program.processes)]
            start += python if options is None else [*python, "--no-python", sys.executable]
        path = os.pathsep.join(
            (str(RECORDING), ENVIRONMENT["PYTHONPATH"], *filter(None, (os.environ.get("PYTHONPATH"),)))
        )
        began = time.perf_counter()
        done = subprocess.run(
            [*start, *words],
            capture_output=True,
            text=True,
            env={**ENVIRONMENT, "PYTHONPATH": path, "RECORD_INTO": str(into), "PYTHONWARNINGS": "default"},
            timeout=LONGEST,
            check=False,
            cwd=place,
        )
        seconds = time.perf_counter() - began
        lines = {
            file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            for file in sorted(into.glob("*.jsonl"))
        }
        # A launcher that trains nothing draws its ports and names at random.
        lines = {name: own for name, own in lines.items() if any(one["what"] != "end" for one in own)}
        told = tuple(
            one for file in sorted(place.glob("runs/*.sgj")) if (one := shown(file, program.path, done.returncode))
        )
    err = done.stderr.splitlines()
    ours = tuple(line for line in err if _is_ours(line))
    theirs = "\n".join(line for line in err if not _is_ours(line))
    return Ran(done.returncode, done.stdout, theirs, lines, seconds, told, ours)


def _is_ours(line: str) -> bool:
    return line.startswith(("steadygrad: ", "            journal: "))


def difference(program: Program, bare: Ran, watched: Ran) -> str:
    """The first thing that is not the same, in words; "" where all is."""
    if bare.code:
        return f"the bare run ends with {bare.code}: {bare.err.strip()[-300:]}"
    if watched.code != bare.code:
        return f"exit code {watched.code}, bare {bare.code}: {watched.err.strip()[-300:]}"
    if watched.out != bare.out:
        return f"standard output: {_first(watched.out, bare.out)}"
    if watched.lines.keys() != bare.lines.keys():
        return f"processes {sorted(watched.lines)}, bare {sorted(bare.lines)}"
    for process, lines in bare.lines.items():
        ours = watched.lines[process]
        for at, (one, other) in enumerate(zip(lines, ours, strict=False), 1):
            apart = [name for name in one if name != "at" and repr(other.get(name)) != repr(one[name])]
            if apart:
                return f"{process}, line {at} ({one['what']}): {', '.join(apart)}"
        if len(lines) != len(ours):
            return f"{process}: {len(ours)} recorded lines, bare {len(lines)}"
    if not program.varies and watched.err != bare.err:
        return f"standard error: {_first(watched.err, bare.err)}"
    return ""


def _first(ours: str, theirs: str) -> str:
    for one, other in zip(ours.splitlines(), theirs.splitlines(), strict=False):
        if one != other:
            return f"{one[:150]!r}, bare {other[:150]!r}"
    return f"{len(ours.splitlines())} lines, bare {len(theirs.splitlines())}"
