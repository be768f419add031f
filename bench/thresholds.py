"""The measurements behind the rules' thresholds, over the whole suite: ``python -m bench.thresholds [healthy|sick ...]``.

For each quantity that a rule compares with a threshold, its distribution over the set-ups that trained (healthy cases and
the twins of sick ones) and over the sick set-ups of each cause. Slow: every case is probed and stepped once.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import ProcessPoolExecutor

import torch

from bench.quantities import QUANTITIES
from bench.suite import PARTS, Job, cases, jobs
from bench.suite.examine import examine


def _measure(job: Job) -> tuple[str, dict[str, float | None]]:
    torch.set_num_threads(1)
    part, name, which = job
    case = cases(part)[name]
    record = examine(case.makes(which))
    group = "trains" if part == "healthy" or which == "twin" else f"sick {case.causes[0]}"
    return group, {what: measure(record) for what, measure in QUANTITIES.items()}


def main(parts: list[str]) -> None:
    """Measure and print."""
    groups: dict[str, list[dict[str, float | None]]] = {}
    with ProcessPoolExecutor(max_workers=2) as pool:
        for group, row in pool.map(_measure, [job for job in jobs() if job[0] in parts]):
            groups.setdefault(group, []).append(row)
    for what in QUANTITIES:
        print(
            f"\n{what}\n{'group':14s} {'set-ups':>8s} {'least':>10s} {'5 %':>10s} {'median':>10s} {'95 %':>10s} {'greatest':>10s}"
        )
        for group in sorted(groups, reverse=True):
            values = sorted(v for row in groups[group] if (v := row[what]) is not None and not math.isnan(v))
            if values:
                last = len(values) - 1
                picked = [values[round(share * last)] for share in (0, 0.05, 0.5, 0.95, 1)]
                print(f"{group:14s} {len(values):8d} " + " ".join(f"{value:10.3g}" for value in picked))


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
