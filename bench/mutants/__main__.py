"""Print the share of mutants that the tests kill, room by room, and those that survive."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

# Imported before the first fork, so that no mutant pays for it; nothing of steadygrad, which each imports changed.
import hypothesis  # noqa: F401
import torch
import torch._dynamo

from bench.mutants.changes import Mutant, mutants
from bench.mutants.running import ROOT, Coverage, covered, killed

TESTS = {
    "clip": ("tests/clip", "--ignore=tests/clip/test_meshes.py"),
    "detect": ("tests/detect", "tests/guard"),
    "rules": ("tests/rules", "tests/bench/test_calibrate.py"),
    "theory": ("tests/theory",),
}
"""The tests that are run for a room: those that are there for it."""
MOST = 900
"""Seconds of processor time that the first run of a room's tests may take."""
ELSEWHERE = {"shards.py"}
"""Files that only processes of their own run, where a changed file does not reach."""


def sample(room: str, number: int, seed: int) -> list[Mutant]:
    """Mutants of a room drawn at random, each change as likely as the next; all of them where there are no more."""
    every = [
        one
        for path in sorted((ROOT / "src/steadygrad" / room).glob("*.py"))
        if path.name not in ELSEWHERE
        for one in mutants(path)
    ]
    return every if len(every) <= number else random.Random(seed).sample(every, number)


def judged(mutant: Mutant, coverage: Coverage) -> tuple[Mutant, bool, str]:
    """Whether it was killed, and by what, or why it was not."""
    tests, cut = coverage.tests_of(mutant)
    if not tests:
        return mutant, False, "no test runs the line"
    how = killed(mutant, tests, sum(coverage.seconds[test] for test in tests))
    why = how or f"{len(tests)} tests pass{', and more were not run' if cut else ''}"
    print(f"  {'killed' if how else 'survived'}: {mutant} ({why})", file=sys.stderr, flush=True)
    return mutant, bool(how), why


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", choices=[*TESTS, []], help="default: all")
    parser.add_argument("--sample", type=int, default=80, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    os.chdir(ROOT)
    for room in given.rooms or TESTS:
        coverage = covered(ROOT / "src/steadygrad" / room, TESTS[room], MOST)
        drawn = sample(room, given.sample, given.seed)
        with ThreadPoolExecutor(given.jobs) as pool:
            results = list(pool.map(partial(judged, coverage=coverage), drawn))
        survivors = [(mutant, why) for mutant, dead, why in results if not dead]
        dead = len(results) - len(survivors)
        print(f"{room}: {dead} of {len(results)} mutants killed, {100 * dead / max(1, len(results)):.0f} %", flush=True)
        for mutant, why in sorted(survivors, key=lambda one: (one[0].path, one[0].number)):
            print(f"  {str(mutant).replace(str(ROOT) + '/', '')} ({why})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
