"""The greatest that healthy runs reach of each quantity that a rule bounds, and which run reaches it.

Measured by hooks of the bench's own: thresholds are set from these numbers, and do not depend on what the guard does.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TextIO

import numpy as np
import torch

from bench.faults.healthy import RUNS, jobs_of
from bench.faults.quantities import FLAT_AT, Lines, Most, lines_of
from bench.faults.recorder import EARLY, Recorder

Job = tuple[str, int, float]
Found = list[tuple[str, Lines]]
MOST = 8
"""Runs that are named with each quantity."""


def measure(job: Job) -> list[Lines]:
    """One run's quantities, one entry an optimizer."""
    torch.set_num_threads(1)
    name, seed, factor = job
    torch.manual_seed(seed)
    recorder = Recorder()
    try:
        RUNS[name](recorder, seed, factor)
    finally:
        recorder.close()
    return [lines_of(lane) for lane in recorder.lanes]


def gather(names: Sequence[str], workers: int) -> Found:
    """All runs, each with the words that name it."""
    jobs, found = jobs_of(names), []
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for (name, seed, factor), lanes in zip(jobs, pool.map(measure, jobs), strict=True):
            for at, lines in enumerate(lanes):
                which = f"/{at}" if len(lanes) > 1 else ""
                found.append((f"{name}{which} s{seed} ×{factor:.2g}", lines))
    return found


def show(names: Sequence[str], *, workers: int = 2, to: TextIO = sys.stdout) -> None:
    """Print all of it."""
    found = gather(names, workers)
    kinds = len({name.split(" ")[0].split("/")[0] for name, _ in found})
    print(f"{len(found)} optimizer runs of {kinds} healthy kinds", file=to)
    print("\n(a) total gradient norm: log10(norm ÷ greatest of all steps before), greatest over runs", file=to)
    _by_step(found, lambda lines: lines.ahead, to)
    print("\n    the same for single weight matrices that had a gradient before", file=to)
    _by_step(found, lambda lines: lines.ahead_weight, to)
    for words, of in (
        ("(a) a weight's log10 norm above its running median of 100, from step 50 on", lambda one: one.spike),
        ("    robust deviations of those a decade above it", lambda one: one.deviations),
        ("    level (25 steps) of the total above the greatest up to the lowest, decades", lambda one: one.growth),
        ("    learning rate ÷ the greatest before, from step 50 on", lambda one: one.rate),
    ):
        _top(found, words, of, to)
    print("\n(b) loss ÷ the greatest before (positive losses)", file=to)
    _by_step(found, lambda lines: lines.loss_early, to)
    for words, of in (
        ("    loss ÷ the greatest of the 100 before, from step 61 on", lambda one: one.loss_late),
        ("    (loss − running median of 100) ÷ robust deviation, from step 21 on", lambda one: one.loss_deviations),
        ("    (loss − running median of 100) ÷ (start − lowest so far)", lambda one: one.loss_share),
        *(
            (
                f"    the same share among losses at least {bound:g} deviations up",
                lambda one, b=bound: one.both.get(b, -math.inf),
            )
            for bound in (6.0, 10.0, 20.0, 40.0)
        ),
        ("    level (median of 25) above the best one, ÷ (start − best)", lambda one: one.rise),
        ("    loss ÷ the greatest of all before, from step 61 on, all losses positive", lambda one: one.loss_ever),
        (
            "    loss above the greatest of 10 steps before, ÷ their range or size, from step 61 on",
            lambda one: one.loss_climb,
        ),
        ("    level ÷ the greatest of the first 25 losses, from step 100 on, all positive", lambda one: one.level_ever),
    ):
        _top(found, words, of, to)
    print(
        "\n(c) update ÷ weight, matrices: ratio, rms·√fan-in, share of the matrices changed by over a third, next loss ÷ loss",
        file=to,
    )
    for words, which in (
        ("steps 1…5, all", "update_first"),
        ("steps 1…5, rms·√fan-in ≥ 0.1", "update_first_grown"),
        ("steps 6…60, rms·√fan-in ≥ 0.1", "update_early"),
        ("later, rms·√fan-in ≥ 0.1", "update_later"),
    ):
        ranked = sorted(found, key=lambda pair: -getattr(pair[1], which).ratio)[: 2 * MOST]
        print(f"    {words}", file=to)
        for name, lines in ranked:
            most: Most = getattr(lines, which)
            print(
                f"        {most.ratio:8.3g} {most.scale:8.3g} {most.share:7.0%} {most.after:8.3g}  "
                f"step {most.step:4d}  {most.name:22s} {name}",
                file=to,
            )
    for words, of in (
        ("    all matrices together, steps 1…5", lambda one: one.moved_first),
        ("    all matrices together, steps 6…60", lambda one: one.moved_early),
        ("    all matrices together, later", lambda one: one.moved_later),
    ):
        _top(found, words, of, to)
    print("\n(d) median of the last 100 losses within 2 % of that of the first 20, at a step", file=to)
    for step in FLAT_AT:
        flat = [name for name, lines in found if step in lines.flat]
        print(f"    step {step:5d}: {len(flat):3d} of {len(found)}  {_brief(flat)}", file=to)


def _by_step(found: Found, of: Callable[[Lines], dict[int, float]], to: TextIO) -> None:
    ranges: Iterable[tuple[int, int]] = [*((step, step) for step in range(2, 13)), (13, 20), (21, 40), (41, EARLY)]
    ranges = [*ranges, (4, EARLY), (6, EARLY), (11, EARLY), (EARLY + 1, 10**6)]
    for low, high in ranges:
        best = []
        for name, lines in found:
            inside = [value for step, value in of(lines).items() if low <= step <= high]
            if inside:
                best.append((max(inside), name))
        best.sort(reverse=True)
        if not best:
            continue
        label = f"{low}" if low == high else f"{low}…{high if high < 10**6 else ''}"
        cut = float(np.quantile([value for value, _ in best], 0.99))
        shown = ", ".join(f"{value:.3g} {name}" for value, name in best[:3])
        print(f"    step {label:8s} q99 {cut:7.3g}  {shown}", file=to)


def _top(found: Found, words: str, of: Callable[[Lines], float], to: TextIO) -> None:
    ranked = sorted(((of(lines), name) for name, lines in found), reverse=True)
    ranked = [pair for pair in ranked if math.isfinite(pair[0])][:MOST]
    print(f"{words}\n        " + ", ".join(f"{value:.3g} {name}" for value, name in ranked), file=to)


def _brief(names: Sequence[str]) -> str:
    kinds: dict[str, int] = {}
    for name in names:
        kinds[name.split(" ")[0]] = kinds.get(name.split(" ")[0], 0) + 1
    return ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
