"""What the journal costs: its size and the time to open it after a million steps, and the time a row takes the caller.

    python -m bench.journal                     # 1,000,000 steps of 300 parameters, written as fast as it goes
    python -m bench.journal --steps 100000 --parameters 50 --keep run.sgj

Rows are given in blocks, and after each stretch the writer is waited for, so that nothing has to be dropped. The caller's
time is that of the calls alone. The norms drift and jitter as those of a run do, with a spike now and then.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from steadygrad.journal import Journal, read
from steadygrad.record.training import Watched

BLOCK = 50
"""Steps given at a time."""
STRETCH = 8000
"""Steps after which the writer is waited for."""


def write(path: Path, steps: int, parameters: int) -> tuple[float, list[float], list[float]]:
    """Seconds for all, and per row of the caller's calls: with blocks of ``BLOCK`` rows, and row by row."""
    random = np.random.default_rng(0)
    watched = [
        Watched(f"blocks.{index // 6}.{'qkvomn'[index % 6]}.weight", (256, 256), "float32", 0)
        for index in range(parameters)
    ]
    journal = Journal(
        path, about={"optimizer": "AdamW"}, watched=watched, complain=lambda text: print(text, file=sys.stderr)
    )
    jitter = np.exp(random.normal(0, 0.3, (BLOCK, parameters))).astype(np.float32)
    depth = np.linspace(0, -2, parameters)
    blocks, singles = [], []
    began = time.perf_counter()
    for start in range(1, steps + 1, BLOCK):
        rows = np.arange(start, min(start + BLOCK, steps + 1))
        level = (10 ** (depth - rows[:, None] / steps)).astype(np.float32)
        norms = level * jitter[: len(rows)]
        totals = np.sqrt((norms.astype(np.float64) ** 2).sum(axis=1))
        factors = np.minimum(1, 3 / totals).astype(np.float32)
        times, rates = 1.7e9 + 0.2 * rows, np.full(len(rows), 3e-4, dtype=np.float32)
        if (start // BLOCK) % 50 == 0:
            before = time.perf_counter()
            for at in range(len(rows)):
                one = slice(at, at + 1)
                journal.rows(0, rows[one], times[one], norms[one], totals[one], factors[one], rates[one])
            singles.append((time.perf_counter() - before) / len(rows))
        else:
            before = time.perf_counter()
            journal.rows(0, rows, times, norms, totals, factors, rates)
            blocks.append((time.perf_counter() - before) / len(rows))
        if start % STRETCH < BLOCK:
            journal.flush(600)
    journal.summary({"steps": steps})
    journal.close()
    return time.perf_counter() - began, blocks, singles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--parameters", type=int, default=300)
    parser.add_argument("--keep", metavar="FILE", help="leave the journal there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(given.keep or f"{folder}/run.sgj")
        seconds, blocks, singles = write(path, given.steps, given.parameters)
        opening = []
        for _ in range(3):
            before = time.perf_counter()
            run = read(path)
            opening.append(time.perf_counter() - before)
        missing = given.steps - int(run.series.counts.sum())
        print(
            f"{given.steps:,} steps × {given.parameters} parameters, written in {seconds:.0f} s, {missing} steps missing"
        )
        print(f"file: {path.stat().st_size / 1e6:.1f} MB")
        print(f"read(): {', '.join(f'{one:.2f}' for one in opening)} s for {len(run.series):,} points")
        micro = [1e6 * statistics.median(one) for one in (blocks, singles)]
        print(
            f"caller's thread: {micro[0]:.2f} µs a row in blocks of {BLOCK}, {micro[1]:.1f} µs a row one by one (medians)"
        )


if __name__ == "__main__":
    main()
