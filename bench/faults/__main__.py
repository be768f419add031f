"""``python -m bench.faults [OPTION] [NAME ...]``: the tables, as they are now.

Without options every fault (or those named) while the guard only warns, then the faults from outside. ``--policy NAME`` takes
another policy and ``--policy all`` each of them; ``--every N`` reads each N-th step instead of the guard's default.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from bench.faults import distributions, healthy, order, outside, rows
from bench.faults.judged import POLICIES, Judged, work
from bench.faults.table import FAULTS, THEMES

HEAD = (
    f"{'fault':25s} {'policy':9s} {'code':6s} {'step':>5s} {'delay':>5s} {'noticed':>7s} {'parameter':16s} "
    f"{'actions':22s} {'end':15s} {'':6s} cause"
)


def lines_of(judged: Judged) -> Iterator[str]:
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
        f"{judged.fault:25s} {judged.policy:9s} {code:6s} {step:>5s} {delay:>5s} {noticed:>7s} {parameter:16s} "
        f"{acted:22s} {judged.end:15s} {word:6s} {cause[:70]}"
    )
    for one in judged.wrong:
        yield f"{'':35s} {one}"


def faults(names: list[str], policies: tuple[str, ...], every: int | None, workers: int) -> int:
    """The table of faults by policy, with shares by theme; gives how many are wrong."""
    print(HEAD)
    jobs = [(name, policy, every) for name in names for policy in policies]
    found = []
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for judged in pool.map(work, jobs):
            found.append(judged)
            print("\n".join(lines_of(judged)), flush=True)
    for theme, own in [*THEMES.items(), ("all", FAULTS)]:
        part = [judged for judged in found if judged.fault in own]
        if part:
            print(
                f"{theme:8s} {len(part):4d} runs   right step {_share(part, 'right_step')}   "
                f"right layer and cause {_share(part, 'right_place')}   all right {_share(part, '')}"
            )
    return sum(bool(judged.wrong) for judged in found)


def _share(part: list[Judged], what: str) -> str:
    right = sum(bool(getattr(judged, what)) if what else not judged.wrong for judged in part)
    return f"{right:4d} ({right / len(part):4.0%})"


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults")
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults, or healthy runs; all when none is named")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--healthy", action="store_true", help="what the guard says of healthy runs")
    kind.add_argument("--trains", action="store_true", help="whether each healthy run learns")
    kind.add_argument("--distributions", action="store_true", help="the greatest of each quantity in healthy runs")
    kind.add_argument("--order", action="store_true", help="which sign is told as the first")
    kind.add_argument("--rows", action="store_true", help="which rows of a batch are told as the bad ones")
    parser.add_argument("--policy", choices=[*POLICIES, "all"], default="warn")
    parser.add_argument("--every", type=int, metavar="N", help="read each N-th step, not as the guard does by default")
    parser.add_argument("--runs", type=int, default=rows.RUNS, help="how many runs with bad rows")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    asked = parser.parse_args()
    known = [*FAULTS, *outside.FAULTS]
    choices = list(healthy.RUNS) if asked.healthy or asked.trains or asked.distributions else known
    choices = list(order.CASES) if asked.order else choices
    for name in asked.names:
        if name not in choices:
            parser.error(f"unknown {name!r}; known are {', '.join(choices)}")
    names = asked.names or choices
    if asked.distributions:
        distributions.show(names, workers=asked.workers)
    elif asked.trains:
        healthy.show_trains(names, workers=asked.workers)
    elif asked.healthy:
        healthy.show(names, every=asked.every, workers=asked.workers)
    elif asked.order:
        order.show(names, workers=asked.workers)
    elif asked.rows:
        rows.show(asked.runs, workers=asked.workers)
    else:
        inside = [name for name in names if name in FAULTS]
        if inside:
            faults(inside, POLICIES if asked.policy == "all" else (asked.policy,), asked.every, asked.workers)
        outside.show([name for name in names if name in outside.FAULTS])


if __name__ == "__main__":
    main()
