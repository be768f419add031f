"""Journals for tests: a small run with everything in it, and the pieces to make others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steadygrad.journal import Journal
from steadygrad.record import CureRef, Evidence, Finding, Location, Severity
from steadygrad.record.training import Action, Alarm, Look, Sign, Watched

NAMES = tuple(
    f"blocks.{block}.{layer}.{kind}" for block in range(4) for layer in ("attn", "mlp") for kind in ("weight", "bias")
)
WHEN = 1.7e9

AT = Location("train.py", 4, 16, 4, 28, "        return nn.Sigmoid()(x)")
SPIKE = Alarm(
    number=1,
    step=120,
    code="SG206",
    name="gradient-spike",
    severity=Severity.WARNING,
    parameter=NAMES[5],
    message="14 times its median",
    cause="a batch far from the others",
    location=AT,
    action="skipped",
    noticed=122,
    last_step=123,
    ended=True,
    others=3,
    symptoms=("SG203",),
    rank=2,
)
VANISHING = Alarm(
    2,
    200,
    "SG101",
    "vanishing-gradient",
    Severity.ERROR,
    NAMES[0],
    "4.0 decades lost",
    delay=3,
    last_step=300,
    advice="lower the rate from 0.001 to 3e-4",
    first_sign="the update of blocks.1.mlp.weight, 6 steps before the loss",
    signs=(Sign("weights", 194, NAMES[6], 12.5), Sign("loss", 200, factor=3.0)),
    rows=(17, 40),
)
SKIP = Action(122, "skip", 1, "the step was left out", {"lr": 1e-3}, {"lr": 5e-4})
FINDING = Finding(
    "SG102",
    "saturated-activation",
    Severity.WARNING,
    "nn.Sigmoid() takes 3.1 of 4.0 decades",
    AT,
    "blocks.1",
    (Evidence("derivative rms", 0.01, "", "near 1"),),
    (CureRef("swap it"),),
)


def watched(names: tuple[str, ...] = NAMES, optimizer: int = 0) -> list[Watched]:
    return [Watched(name, (4, 4), "float32", optimizer) for name in names]


def begun(path: Path, names: tuple[str, ...] = NAMES, **about: str | float) -> Journal:
    """A journal whose complaints fail the test."""
    return Journal(path, about={"optimizers": "AdamW", **about}, watched=watched(names), complain=_fail)


def _fail(sentence: str) -> None:
    raise AssertionError(sentence)


def give_rows(journal: Journal, first: int, last: int, *, names: int = len(NAMES), seed: int = 0) -> None:
    """Rows of steps ``first`` to ``last``, every tenth of them clipped."""
    steps = np.arange(first, last + 1)
    random = np.random.default_rng(seed + first)
    norms = (10 ** (np.linspace(-3, 0, names) + random.normal(0, 0.1, (len(steps), names)))).astype(np.float32)
    totals = np.sqrt((norms.astype(float) ** 2).sum(axis=1))
    factors = np.where(steps % 10 == 0, 0.5, 1.0)
    journal.rows(0, steps, WHEN + 0.25 * steps, norms, totals, factors, np.full(len(steps), 1e-3))


def whole(path: Path, steps: int = 300) -> Path:
    """A finished run that has some of everything."""
    with begun(path, clip="norm ≤ 1", script="train.py") as journal:
        give_rows(journal, 1, steps)
        journal.losses(np.arange(1, steps + 1, 5), 3.0 / np.arange(1, steps + 1, 5))
        journal.weights(0, 100, np.ones(len(NAMES)), np.full(len(NAMES), 1e-3))
        journal.weights(0, 200, np.ones(len(NAMES)), np.geomspace(1e-6, 1e-2, len(NAMES)))
        journal.extremes(50, 0.5, 0.7, 0, 3)
        journal.extremes(100, 0.5, 900.0, 1, 3)
        journal.alarm(SPIKE)
        journal.alarm(VANISHING)
        journal.action(SKIP)
        journal.look(Look(100, "healthy", (), 0.4, decades=-0.3))
        journal.look(Look(200, "at risk", (FINDING,), 0.5))
        journal.look(Look(300, "at risk", (FINDING,), 0.5, note="the batch was not to be had"))
        journal.note(1, "reads every step: 0.6 % of a step")
        journal.summary({"steps": steps, "interval": 1})
    return path
