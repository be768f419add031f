"""All healthy runs by name; what the guard says of them at its default settings, and whether each of them learns."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import fmean
from typing import Any

import torch
from torch import nn

import steadygrad
from bench.faults.healthy import goals, loops, nets, reinforcement, schedules, stages
from bench.faults.healthy.shared import Losses, Run

RUNS: dict[str, Run] = {
    one.__name__: one for room in (schedules, loops, nets, goals, reinforcement, stages) for one in room.RUNS
}
"""By name. ``RUNS[name](watch, seed, factor)``; seed torch first."""
FACTORS = (1.0, 2.0, 1 / 3)
"""On the usual learning rate; each run still learns."""
SEEDS = (0, 1, 2)
Job = tuple[str, int, float]


class Unwatched:
    """Stands where a guard would, for runs that save and load its state."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""

    def detach(self) -> None:
        """Nothing to take away."""


def jobs_of(names: Sequence[str]) -> list[Job]:
    """Each run with three seeds, the first of them at three learning rates."""
    return [(n, s, f) for n in names for s in SEEDS for f in FACTORS if s == 0 or f == 1.0]


def learnt(losses: Losses) -> tuple[float, float]:
    """Mean of the first and of the last tenth."""
    tenth = max(1, len(losses) // 10)
    return fmean(losses[:tenth]), fmean(losses[-tenth:])


def trains(job: Job) -> tuple[float, float]:
    """Loss at the beginning and at the end of the run, with nobody watching."""
    torch.set_num_threads(1)
    name, seed, factor = job
    torch.manual_seed(seed)
    return learnt(RUNS[name](lambda *_: Unwatched(), seed, factor))


def alarms_of(name: str, seed: int, factor: float, every: int | None = None) -> list[str]:
    """What the guard says of one healthy run; information alone is not counted. ``every`` None: the guard's default."""
    torch.manual_seed(seed)
    guards: list[Any] = []
    sparse = {} if every is None else {"every": every}

    def watch(model: nn.Module, optimizers: Any) -> Any:
        guards.append(steadygrad.guard(model, list(optimizers), say=lambda line: None, **sparse))
        return guards[-1]

    losses = RUNS[name](watch, seed, factor)
    for guard in guards:
        guard.detach()
    alarms = [alarm for guard in guards for alarm in guard.alarms if alarm.severity != "info"]
    told = [f"{a.code} at {a.step} in {a.parameter}: {a.message}" for a in alarms]
    first, last = learnt(losses)
    if not last < first:
        told.append("did not learn: no healthy run")
    return told


def _job(job: tuple[str, int, float, int | None]) -> list[str]:
    torch.set_num_threads(1)
    return alarms_of(*job)


def show(names: Sequence[str], *, every: int | None = None, workers: int = 2) -> int:
    """What the guard says of each; gives the number of alarms."""
    jobs = [(*job, every) for job in jobs_of(names)]
    print(f"{'run':24s} {'seed':>4s} {'rate':>6s}  alarms")
    count = quiet = 0
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for (name, seed, factor, _), told in zip(jobs, pool.map(_job, jobs), strict=True):
            count += len(told)
            quiet += not told
            print(f"{name:24s} {seed:4d} ×{factor:5.2f}  {'; '.join(told) or '-'}", flush=True)
    print(f"{count} alarms in {len(jobs)} runs of {len(names)} kinds; {quiet} runs quiet")
    return count


def show_trains(names: Sequence[str], *, workers: int = 2) -> int:
    """Loss at the beginning and at the end of each; gives how many do not learn."""
    jobs, bad = jobs_of(names), 0
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for (name, seed, factor), (first, last) in zip(jobs, pool.map(trains, jobs), strict=True):
            fell = last < first
            bad += not fell
            word = "learns" if fell else "DOES NOT LEARN"
            print(f"{name:24s} {seed:4d} ×{factor:5.2f}  {first:10.4g} -> {last:10.4g}  {word}", flush=True)
    print(f"{len(jobs) - bad} of {len(jobs)} runs of {len(names)} kinds learn")
    return bad
