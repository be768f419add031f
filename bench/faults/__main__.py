"""``python -m bench.faults [--healthy] [--distributions] [NAME ...]``: the tables, as they are now.

Without options every fault (or those named) under every policy, then the faults from outside. ``--policy`` takes one policy,
``--budget`` watches at the default budget instead of at each step.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from bench.faults import distributions, healthy, outside
from bench.faults.judged import POLICIES, Judged, work
from bench.faults.sick import FAULTS


def lines_of(judged: Judged, every: int | None) -> Iterator[str]:
    """One row of the table, and one more for each thing that is wrong."""
    first = judged.alarms[0] if judged.alarms else None
    counts = {kind: sum(one.kind == kind for one in judged.actions) for kind in {one.kind for one in judged.actions}}
    acted = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "-"
    cells = (
        ("-", "-", "-", "-", "-")
        if first is None
        else (
            first.code,
            str(first.step),
            str(first.delay),
            str(first.noticed),
            first.parameter or "(model)",
        )
    )
    code, step, delay, noticed, parameter = cells
    cause = "" if first is None else first.cause or first.message
    word = "right" if not judged.wrong else "WRONG"
    yield (
        f"{judged.fault:20s} {judged.policy:9s} {code:6s} {step:>5s} {delay:>5s} {noticed:>7s} {parameter:16s} "
        f"{acted:22s} {judged.end:15s} {word:6s} {cause[:70]}"
    )
    for one in judged.wrong:
        yield f"{'':30s} {one}"


def faults(names: list[str], policies: tuple[str, ...], every: int | None) -> int:
    """The table of faults by policy; gives how many are wrong."""
    print(
        f"{'fault':20s} {'policy':9s} {'code':6s} {'step':>5s} {'delay':>5s} {'noticed':>7s} {'parameter':16s} "
        f"{'actions':22s} {'end':15s} {'':6s} cause"
    )
    jobs = [(name, policy, every) for name in names for policy in policies]
    wrong = 0
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        for judged in pool.map(work, jobs):
            wrong += bool(judged.wrong)
            print("\n".join(lines_of(judged, every)), flush=True)
    print(f"{len(jobs) - wrong} of {len(jobs)} right")
    return wrong


def main() -> None:
    """Print what was asked for."""
    known = [*FAULTS, *outside.FAULTS]
    parser = argparse.ArgumentParser(prog="python -m bench.faults")
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults, or healthy runs; all when none is named")
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--distributions", action="store_true")
    parser.add_argument("--budget", action="store_true", help="watch at the default budget, not at each step")
    parser.add_argument("--policy", choices=POLICIES)
    asked = parser.parse_args()
    choices = list(healthy.RUNS) if asked.healthy else known
    choices = [*healthy.RUNS, *FAULTS] if asked.distributions else choices
    for name in asked.names:
        if name not in choices:
            parser.error(f"unknown {name!r}; known are {', '.join(choices)}")
    names = asked.names or choices
    if asked.distributions:
        distributions.show(names)
    elif asked.healthy:
        healthy.show(names)
    else:
        inside = [name for name in names if name in FAULTS]
        if inside:
            faults(inside, (asked.policy,) if asked.policy else POLICIES, None if asked.budget else 1)
        outside.show([name for name in names if name in outside.FAULTS])


if __name__ == "__main__":
    main()
