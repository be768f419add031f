"""Cure every sick case of the truth table, then train it beside its twin: ``python -m bench.cured [--jobs N] [NAME …]``.

Prints, for each: what was taken, the verdict after, and what training made of the cured set-up and of the healthy twin
(accuracy on data that was not trained on; for regressions the share of the loss removed), each trained several times from
the same start on samples drawn in another order: one order is a draw of the lot, which the mean is not. Results go to
``corpus/cured.jsonl``, a line each, and are taken from there unless the name is given.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import nn

import steadygrad
from bench.corpus.case import SEED, Case, Made, constant_loss, evaluate, objective, taken
from bench.corpus.cases import cases
from steadygrad.copies.copying import on_copy
from steadygrad.source.spans import recording_constructions

SICK = tuple(cases("sick").values())
RESULTS = Path(__file__).parent / "corpus" / "cured.jsonl"

FEWEST, MOST, SURE = 2, 8, 0.02
"""Orders of the samples that both are trained on: so many at least and at most, and the standard error of both means at
which there are enough. In 16 orders an LSTM that recalls what it saw ten steps ago (RMSprop, 200 steps) is at 1.00 or still
on its plateau at 0.71: at a rate of 0.01 in 11 of them at 1.00, at 0.0032 in 15, at 0.001 in 8."""

APART = 10_000
"""Steps of the training stream between one order and the next; no set-up is trained for as many."""


@dataclass(frozen=True)
class Result:
    """One set-up: the cure, and what training did."""

    name: str
    family: str
    before: str
    after: str
    taken: str
    group: str
    tried: int
    seconds: float
    cured_scores: list[float]
    """By order of the samples."""
    twin_scores: list[float]
    cured_score: float
    """The mean over the orders."""
    twin_score: float
    learned: float | None
    """What the planner saw: share of the best constant answer's loss removed in 30 steps."""
    words: str


def examine(case: Case) -> Result:
    with recording_constructions():
        made = case.make()
    began = time.perf_counter()
    cured = steadygrad.cure(made.model, made.batch, made.loss_fn, optimizer=made.optimizer)
    seconds = time.perf_counter() - began
    loss_fn = cured.loss_fn or made.loss_fn
    copy = Made(cured.model, made.batch, loss_fn, cured.optimizer, made.batches, made.evaluation)
    cured_scores, twin_scores = scores(copy, case.make("twin"), case.steps)
    return Result(
        case.name,
        case.family,
        cured.before.verdict.value,
        cured.after.verdict.value,
        cured.taken.candidate.name if cured.taken else "",
        cured.taken.candidate.group if cured.taken else "",
        len(cured.tried),
        round(seconds, 1),
        cured_scores,
        twin_scores,
        round(fmean(cured_scores), 4),
        round(fmean(twin_scores), 4),
        cured.taken.learned if cured.taken else None,
        cured.words,
    )


def scores(cured: Made, twin: Made, steps: int) -> tuple[list[float], list[float]]:
    """What training makes of both, order by order of the samples, until both means are known to ``SURE`` (or ``MOST``)."""
    both: tuple[list[float], list[float]] = ([], [])
    for order in range(MOST):
        for made, found in zip((cured, twin), both, strict=True):
            found.append(_in_order(made, steps, order))
        if order + 1 >= FEWEST and all(stdev(found) <= SURE * math.sqrt(len(found)) for found in both):
            break
    return both


def _in_order(made: Made, steps: int, order: int) -> float:
    """The score of a copy trained on samples drawn in one order."""
    loss_fn = made.loss_fn
    with on_copy(made.model, made.optimizer, loss_fn if isinstance(loss_fn, nn.Module) else None) as copied:
        assert copied.optimizer is not None
        assert not copied.blind_spots
        torch.manual_seed(SEED + order)
        own_loss = loss_fn if copied.loss is None else copied.loss

        def batches(step: int) -> Any:
            return made.batches(order * APART + step)

        return score(Made(copied.model, made.batch, own_loss, copied.optimizer, batches, made.evaluation), steps)


def score(made: Made, steps: int) -> float:
    """Accuracy after training for classifiers; for others the share of the constant answer's loss that was removed."""
    before = evaluate(made)
    made.model.train()
    if not all(map(math.isfinite, taken(made, steps))):
        return 0.0
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(SEED + 1)
        batch = made.evaluation()
        loss, output = objective(made, batch)
    y = batch[1] if made.loss_fn is not None else None
    if isinstance(y, torch.Tensor) and isinstance(output, torch.Tensor):
        if not y.is_floating_point() and output.dim() == 2 and y.dim() == 1:
            return round(float((output.argmax(1) == y).float().mean()), 4)
        if y.is_floating_point() and set(y.unique().tolist()) <= {0.0, 1.0} and y.shape == output.shape:
            inside = bool(((output >= 0) & (output <= 1)).all())
            return round(float(((output > (0.5 if inside else 0.0)) == (y > 0.5)).float().mean()), 4)
        if y.is_floating_point() and y.shape == output.shape:
            return round(1.0 - float(((output - y) ** 2).mean() / ((y - y.mean(0)) ** 2).mean()), 4)
    constant = constant_loss(made)
    reference = before if constant is None else min(before, constant)
    return round((reference - float(loss)) / abs(reference), 4)


def _work(name: str) -> Result | tuple[str, str]:
    torch.set_num_threads(1)
    case = cases("sick")[name]
    try:
        return examine(case)
    except Exception as error:
        return name, f"{type(error).__name__}: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    known = {row["name"]: row for row in rows}
    wanted = [case.name for case in SICK if (case.name in given.names if given.names else case.name not in known)]
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        for result in pool.imap_unordered(_work, wanted):
            if isinstance(result, tuple):
                print(f"{result[0]:44s} FAILED {result[1]}", flush=True)
                continue
            known[result.name] = asdict(result)
            ordered = [known[case.name] for case in SICK if case.name in known]
            RESULTS.write_text("".join(json.dumps(row) + "\n" for row in ordered))
            print(line(known[result.name]), flush=True)
    summary(list(known.values()))


def line(row: dict[str, object]) -> str:
    return (
        f"{row['name']:44s} {row['before']:14s} -> {row['after']:14s} {row['taken'] or row['words']:40.60s} "
        f"{row['cured_score']:6.2f} twin {row['twin_score']:6.2f} q {row['learned'] or 0:5.2f} "
        f"{row['tried']:2d} tried {row['seconds']:5.1f} s"
    )


def summary(rows: list[dict[str, object]]) -> None:
    """Counts by family: healed, and as good as nine tenths of the twin."""
    families = sorted({str(row["family"]) for row in rows})
    for family in [*families, ""]:
        mine = [row for row in rows if row["family"] == family or not family]
        healed = [row for row in mine if row["after"] == "healthy"]
        good = [row for row in healed if float(str(row["cured_score"])) >= 0.9 * float(str(row["twin_score"]))]
        print(
            f"{family or 'all':24s} {len(mine):3d} set-ups, {len(healed):3d} healthy, {len(good):3d} train as the twin does"
        )


if __name__ == "__main__":
    main()
