"""What `steadygrad run` costs where a step is compiled: `python -m bench.compiled [--net NET] [--backend NAME] [PART …]`.

A part is trained in three processes at once that start alike: bare, bare again and watched. They take turns by blocks of steps,
in another order each round, while the others wait, so that whatever the machine does falls on all alike. Told is the median, with
the quartiles, of a round's time over the bare one's in the same round: of the processor (all threads of the process), and by the
clock. "bare again" is the A/A control: what it shows is the error of the rest. Before it stand the processor's seconds of the
first two blocks, in which all is compiled, one process after the other. A step of the small net is a call or two long, and what
is not compiled is most of it; that of the GPT is as long as people's.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("compiled_steps.py")
PARTS = ("nothing", "model", "step of the optimizer", "whole step")
BLOCKS = {"small": 100, "gpt": 4}
"""Steps of a block: some tenths of a second."""
WAYS = {"bare": [], "bare again": [], "watched": ["-m", "steadygrad", "run", "--quiet"]}


class Trained:
    """A process that trains as many steps as it is told to, and says what they took."""

    def __init__(self, way: Sequence[str], words: Sequence[str], folder: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *way, str(SCRIPT), *words],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def steps(self, count: int) -> tuple[float, float]:
        """Seconds of the processor, and by the clock."""
        given, told = self.process.stdin, self.process.stdout
        assert given is not None and told is not None
        given.write(f"{count}\n")
        given.flush()
        line = told.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1])
        processor, wall = map(float, line.split())
        return processor, wall

    def end(self) -> None:
        _, complaint = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(complaint)


def compare(part: str, net: str, backend: str, rounds: int) -> None:
    """A line for each way."""
    block = BLOCKS[net]
    with tempfile.TemporaryDirectory() as folder:
        trained = {name: Trained(way, (part, net, backend), folder) for name, way in WAYS.items()}
        first = {name: one.steps(2 * block)[0] for name, one in trained.items()}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name in random.sample(list(WAYS), len(WAYS)):
                times[name].append(trained[name].steps(block))
        for one in trained.values():
            one.end()
    for name in WAYS:
        seconds = statistics.median(one[0] for one in times[name]) / block
        print(
            f"{part:22} {name:10} {first[name]:6.1f} s, then {1e3 * seconds:7.3f} ms a step  {_ratios(times, name)}",
            flush=True,
        )


def _ratios(times: dict[str, list[tuple[float, float]]], name: str) -> str:
    if name == "bare":
        return ""
    told: list[Any] = []
    for kind, words in enumerate(("processor", "clock")):
        ratios = [ours[kind] / bare[kind] for ours, bare in zip(times[name], times["bare"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        told.append(f"{words} x{middle:.3f} ({low:.3f} to {high:.3f})")
    return ", ".join(told)


def main(arguments: list[str]) -> None:
    """All parts, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m bench.compiled")
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), metavar="PART", default=[])
    parser.add_argument("--net", choices=BLOCKS, default="gpt")
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args(arguments)
    for part in given.parts or PARTS:
        compare(part, given.net, given.backend, given.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
