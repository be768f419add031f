"""The quantities that the guard's policy compares with thresholds: the greatest in healthy runs, and those at detection.

In a run that is ill the measurement ends with the row at which the policy speaks.

Measured from rows that hooks of the bench's own have written, so that it does not matter what the guard would have done.
The thresholds in ``steadygrad.guarding`` (policy, state, sudden, slow) stand beside these numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from bench.faults.healthy import FACTORS, RUNS, SEEDS
from bench.faults.sick import FAULTS
from bench.faults.training import Recorder
from steadygrad.detect import judge as policy
from steadygrad.detect.history import SPIKE_DECADES, WARM, State, medians
from steadygrad.record.rows import Columns
from steadygrad.record.rows import Rows

BLOCK = 16
"""Rows that are judged at once here."""


@dataclass
class Greatest:
    """Of one run, over all its steps, parameters and optimizers; decades unless told otherwise."""

    spike: float = -math.inf
    """A weight's norm above its running median."""
    deviations: float = 0.0
    """Robust deviations of those that are a decade above it."""
    growth: float = -math.inf
    """Rise of the total norm's level above the greatest one up to the lowest."""
    rise: float = -math.inf
    """Rise above the lowest level."""
    fall: float = -math.inf
    """Fall of the early layers against the greatest one."""
    rate: float = 0.0
    """Learning rate ÷ the greatest before."""
    update: float = 0.0
    """Update ÷ weight."""
    zeros: int = 0
    """Rows in a row of a gradient of exactly zero."""


def greatest(
    names: Sequence[str], shapes: Sequence[tuple[int, ...]], rows: Rows, updates: Sequence[Any], block: int = BLOCK
) -> Greatest:
    """The greatest of each quantity in one optimizer's rows, up to the first symptom."""
    weights = tuple(len(shape) >= 2 for shape in shapes)
    state, found = State(Columns(tuple(names), tuple(map(math.prod, shapes)), weights)), Greatest()
    judged = np.array(weights)
    decades = policy.logs(rows)
    zeros = np.zeros(len(names), int)
    for start in range(0, len(rows), block):
        at = slice(start, start + block)
        part = Rows(rows.steps[at], rows.times[at], rows.norms[at], rows.factors[at], rows.rates[at])
        old = (state.seen[:-1] >= WARM) & judged
        excess = (decades[at] - state.median)[:, :-1]
        far = np.where(old & np.isfinite(excess), excess, -np.inf)
        found.spike = max(found.spike, float(far.max()))
        spread = 1.4826 * medians(np.abs(state.window - state.median))[:-1]
        if (far >= SPIKE_DECADES).any():
            with np.errstate(divide="ignore", invalid="ignore"):
                found.deviations = max(found.deviations, float((far / spread)[far >= SPIKE_DECADES].max()))
        if state.seen[-1] >= WARM and state.greatest_rate > 0:
            found.rate = max(found.rate, float(part.rates.max()) / state.greatest_rate)
        for norms in part.norms:
            zeros = np.where(norms == 0, zeros + 1, 0)
            found.zeros = max(found.zeros, int(zeros[judged].max(initial=0)))
        symptoms = policy.judge(state, part)
        if len(state.levels) >= 4:
            last = min(float(level[-1]) for _, level in state.levels[-2:])
            found.growth = max(found.growth, last - state.reference)
            found.rise = max(found.rise, last - state.lowest[0])
            drop = state.best - np.fmax(state.against[-1], state.against[-2])
            early = drop[: max(1, len(drop) // 4)]
            if len(drop) >= 3 and np.isfinite(early).all():
                found.fall = max(found.fall, float(early.min()))
        if symptoms:
            break
    for _, _, ratios in updates:
        found.update = max(found.update, float(np.nanmax(np.where(judged, ratios, np.nan), initial=0.0)))
    return found


def _measure(job: tuple[str, int, float]) -> Greatest:
    torch.set_num_threads(1)
    name, seed, factor = job
    torch.manual_seed(seed)
    recorder = Recorder(10)
    if name in FAULTS:
        script = FAULTS[name].make()
        recorder(script.model, [script.optimizer])
        script.run(fingerprints=False)
    else:
        RUNS[name](recorder, seed, factor)
    block = 1 if name in FAULTS else BLOCK
    each = [
        greatest(recorder.names[i], recorder.shapes[i], recorder.as_rows(i), recorder.updates[i], block)
        for i in range(len(recorder.rows))
    ]
    return Greatest(**{what: max(getattr(one, what) for one in each) for what in vars(each[0])})


def show(names: Sequence[str]) -> None:
    """A line for each kind of healthy run, over seeds and learning rates, and one for each fault."""
    jobs = [(n, s, f) for n in names for s in SEEDS for f in FACTORS if n in RUNS or (s == SEEDS[0] and f == 1.0)]
    kinds: dict[str, list[Greatest]] = {}
    columns = list(vars(Greatest()))
    print(f"{'run':20s} " + " ".join(f"{what:>10s}" for what in columns))
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        for (name, _, _), found in zip(jobs, pool.map(_measure, jobs), strict=True):
            kinds.setdefault(name, []).append(found)
            if name in FAULTS or len(kinds[name]) == len(SEEDS) * len(FACTORS):
                print(_line(name, kinds[name], columns), flush=True)
    healthy = [one for name, each in kinds.items() if name in RUNS for one in each]
    if healthy:
        print(_line("all healthy runs", healthy, columns))


def _line(name: str, found: Sequence[Greatest], columns: Sequence[str]) -> str:
    return f"{name:20s} " + " ".join(f"{max(getattr(one, what) for one in found):10.3g}" for what in columns)
