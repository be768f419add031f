"""Training a row: three seeds, by the law, to a ``Truth``. Knows nothing of steadygrad: what it says is the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from bench.corpus import law
from bench.corpus.prepare import prepare
from bench.corpus.row import Row
from bench.suite.case import objective


@dataclass(frozen=True)
class Truth:
    """What training did to a row."""

    key: str
    name: str
    family: str
    label: str
    """ "trains", "fails", "between"; "crashed" where the set-up raised."""
    scores: tuple[float, ...] = ()
    """Of each seed; −1 = the loss stopped being finite."""
    steps: tuple[int, ...] = ()
    """Taken by each seed: fewer than the budget where it was solved or diverged."""
    seconds: float = 0.0
    """Processor time of all seeds."""
    law: int = law.REVISION
    error: str = ""


def train(row: Row) -> Truth:
    """Train a row's seeds one after the other. An exception of the set-up's own makes it "crashed"."""
    began = time.process_time()
    scores: list[float] = []
    steps: list[int] = []
    try:
        for seed in range(row.seed, row.seed + law.SEEDS):
            one, taken = train_once(row, seed)
            scores.append(round(one, 4))
            steps.append(taken)
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Truth(row.key, row.name, row.family, "crashed", error=told)
    seconds = round(time.process_time() - began, 2)
    return Truth(row.key, row.name, row.family, law.label(scores), tuple(scores), tuple(steps), seconds)


def train_once(row: Row, seed: int) -> tuple[float, int]:
    """Score of one training and the steps it took. Denormal numbers count as zero: they only slow a net down."""
    torch.set_flush_denormal(True)
    try:
        return _trained(row, seed)
    finally:
        torch.set_flush_denormal(False)


def _trained(row: Row, seed: int) -> tuple[float, int]:
    prepared = prepare(row, seed)
    made = prepared.made
    made.model.train()
    looks = [prepared.score()]
    for step in range(prepared.budget):
        made.optimizer.zero_grad()
        loss, _ = objective(made, made.batches(step))
        if not torch.isfinite(loss):
            return law.DIVERGED, step
        loss.backward()
        made.optimizer.step()
        if (step + 1) % law.LOOK_EVERY == 0:
            looks.append(prepared.score())
            if law.solved(looks):
                return law.settled(looks), step + 1
    return law.settled(looks), prepared.budget
