"""The best known result of each task or case: ``python -m bench.corpus.best [TASK|CASE …]`` measures what ``tasks.py`` states,
or the case.

A reference set-up is trained for four budgets without ending early; what counts is its best three looks in a row (their
median), of the best of three seeds: of the held-out result in units of the task's metric (``Task.best``), and of the share
of the constant answer's training loss that is gone (``Task.learnable``).
"""

from __future__ import annotations

import sys

import torch

from bench.corpus import from_cases, law
from bench.corpus.case import taken
from bench.corpus.make import budget, make, sets, task_of
from bench.corpus.objective import constant_loss, learned
from bench.corpus.prepare import prepare
from bench.corpus.row import Row, options
from bench.corpus.rows.bases import NEWER, base
from bench.corpus.tasks import TASKS

BUDGETS = 4

REFERENCES: dict[str, Row] = {
    row.task: row
    for row in (
        *reversed(NEWER),
        *(base("mlp", task) for task in ("digits", "wine", "cancer", "blobs", "diabetes")),
        *(base("mlp", task) for task in ("circles", "moons", "parity", "friedman")),
        *(base("conv", task) for task in ("images", "shapes")),
        *(base("recurrent", task) for task in ("rows", "adding", "characters")),
        base("encoder", "recall"),
        *(Row("encoder", f"recall-{n}", options(steps=n), rate=3e-3) for n in (60, 100)),
        base("decoder", "copying"),
        base("translator", "reversal"),
        *(base("autoencoder", task) for task in ("reconstruction", "cancer-itself")),
        base("vae", "latent"),
        *(base("gan", task) for task in ("ring", "clusters")),
        base("graph", "blocks"),
        *(base("deepset", task) for task in ("spreads", "extremes")),
        base("bag", "documents"),
        base("unet", "discs"),
    )
}


def best_of(row: Row, seed: int) -> tuple[float, float]:
    """Best settled result of one long training, in units of the task's metric, and the most that was learned."""
    torch.manual_seed(seed)
    made, task, data = make(row, seed), task_of(row), sets(row)
    constant = constant_loss(made)
    looks: list[float] = []
    losses: list[float] = []
    shares = [0.0]
    for loss in taken(made, BUDGETS * budget(row)):
        losses.append(loss)
        if len(losses) % law.LOOK_EVERY == 0:
            looks.append(law.measure(task, made.model, data.held_x, data.held_y))
            shares.append(0.0 if constant is None else learned(losses[-law.LOOKS * law.LOOK_EVERY :], constant))
    return max(law.settled(looks[: n + 1]) for n in range(law.LOOKS - 1, len(looks))), max(shares)


def removed(row: Row) -> float:
    """What one training to the end of the budget removes of the loss of a healthy case, or of a sick one's twin."""
    prepared = prepare(row)
    prepared.score()  # The loss before it, which the share is of.
    prepared.made.model.train()
    for _ in taken(prepared.made, prepared.budget):
        pass
    return prepared.score() * from_cases.case_of(row).best


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    cases = {dict(row.parameters)["case"]: row for row in from_cases.rows() if not row.cause}
    for name in names or TASKS:
        if name in cases:
            stated = from_cases.case_of(cases[name]).best
            print(f"{name:40s} stated {stated:.4g}  measured {removed(cases[name]):.4g}", flush=True)
            continue
        row = REFERENCES[name]
        results, shares = zip(*sorted(best_of(row, seed) for seed in range(law.SEEDS)), strict=True)
        told = " ".join(f"{result:.3f}" for result in results)
        task = TASKS[name]
        print(
            f"{name:16s} stated {task.best:.2f}  measured {results[-1]:.3f}  (seeds: {told}), "
            f"learnable {task.learnable:.2f}  measured {max(shares):.3f}"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
