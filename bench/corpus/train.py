"""Training a row: three seeds, by the law, to a ``Truth``. Knows nothing of steadygrad: what it says is the truth."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from bench.corpus import law
from bench.corpus.case import taken
from bench.corpus.objective import constant_loss, learned
from bench.corpus.prepare import prepare
from bench.corpus.row import Row


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
    held: tuple[float, ...] = ()
    """The held-out result of each seed."""
    learned: tuple[float, ...] = ()
    """Share of the constant answer's loss that each seed's training took; of a case, of its evaluation loss (the oldest were
    trained once, to the end of the budget, before they were by the law). Empty where the held-out result says it all."""
    steps: tuple[int, ...] = ()
    """Taken by each seed: fewer than the budget where it was solved or diverged."""
    seconds: float = 0.0
    """Processor time of all seeds."""
    law: int = law.REVISION
    error: str = ""


def train(row: Row) -> Truth:
    """Train a row's seeds one after the other. An exception of the set-up's own makes it "crashed"."""
    began = time.process_time()
    runs: list[Training] = []
    try:
        for seed in range(row.seed, row.seed + law.SEEDS):
            runs.append(train_once(row, seed))
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Truth(row.key, row.name, row.family, "crashed", error=told)
    seconds = round(time.process_time() - began, 2)
    held = tuple(round(one.held, 4) for one in runs)
    learned = tuple(round(one.learned, 4) for one in runs if one.learned is not None)
    scores = law.scores(held, learned, runs[0].learnable)
    steps = tuple(one.steps for one in runs)
    return Truth(row.key, row.name, row.family, law.label(scores), scores, held, learned, steps, seconds)


@dataclass(frozen=True)
class Training:
    """What became of one training."""

    held: float
    learned: float | None
    learnable: float
    steps: int


def train_once(row: Row, seed: int) -> Training:
    """One training. Denormal numbers count as zero: they only slow a net down."""
    torch.set_flush_denormal(True)
    try:
        return _trained(row, seed)
    finally:
        torch.set_flush_denormal(False)


def _trained(row: Row, seed: int) -> Training:
    prepared = prepare(row, seed)
    made, learnable, best = prepared.made, prepared.learnable, prepared.best
    unit = learnable or best or 1.0
    constant = constant_loss(made) if learnable is not None else None
    made.model.train()
    looks = [prepared.score()]
    losses: list[float] = []
    for loss in taken(made, prepared.budget):
        if not math.isfinite(loss):
            return Training(
                law.DIVERGED, None if constant is None and best is None else law.DIVERGED, unit, len(losses)
            )
        losses.append(loss)
        if len(losses) % law.LOOK_EVERY == 0:
            looks.append(prepared.score())
            if law.solved(looks):
                break
    held = law.settled(looks)
    share = learned(losses, constant) if constant is not None else held * best if best is not None else None
    return Training(held, share, unit, len(losses))
