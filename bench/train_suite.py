"""Train every case of the suite and write down what became of it: ``python -m bench.train_suite [NAME ...]``.

The outcomes decide which cases are healthy and which are sick; steadygrad has no say in it. Cases named on the command
line replace their lines in ``suite/outcomes.jsonl``; without names all are trained (about ten minutes on two cores).
"""

from __future__ import annotations

import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch

from bench.suite import Job, cases, jobs
from bench.suite.case import Outcome, train

OUTCOMES = Path(__file__).parent / "suite" / "outcomes.jsonl"

TRAINED = 0.2
"""Least share of the evaluation loss that a healthy case (or a twin) must have learned."""
FAILED = 0.1
"""Greatest share that a sick case may have learned."""


def outcomes() -> dict[tuple[str, str], Outcome]:
    """What training did, by name and set-up, as written down."""
    rows = [json.loads(line) for line in OUTCOMES.read_text().splitlines()] if OUTCOMES.exists() else []
    return {(row["name"], row.pop("which")): Outcome(**{k: _number(v) for k, v in row.items()}) for row in rows}


def _number(value: object) -> object:
    return float(value) if value in ("inf", "-inf", "nan") else value  # type: ignore[arg-type]


def _text(value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def _job(job: Job) -> tuple[Job, Outcome]:
    torch.set_num_threads(1)
    part, name, which = job
    case = cases(part)[name]
    return job, train(name, case.makes(which), case.steps)


def as_meant(part: str, which: str, outcome: Outcome) -> bool:
    """Whether training did what the suite says of the set-up."""
    if part == "sick" and which == "itself":
        return not outcome.learned > FAILED
    return outcome.learned >= TRAINED


def main(names: list[str]) -> int:
    """Train, print and write; 1 where a case is not what the suite says."""
    known = outcomes() if names else {}
    wrong = 0
    with ProcessPoolExecutor(max_workers=2) as pool:
        for (part, name, which), outcome in pool.map(_job, jobs(names)):
            known[name, which] = outcome
            right = as_meant(part, which, outcome)
            wrong += not right
            change = f"{outcome.loss_before:.4g} -> {outcome.loss_after:.4g}"
            print(
                f"{part:8s} {name:36s} {which:7s} learned {outcome.learned:7.3f}  {change:24s}{'' if right else '  WRONG'}"
            )
            sys.stdout.flush()
    lines = [
        json.dumps({"name": name, "which": which, **{k: _text(v) for k, v in asdict(outcome).items() if k != "name"}})
        for (name, which), outcome in sorted(known.items())
    ]
    OUTCOMES.write_text("\n".join(lines) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
