"""Runs to be drawn: one with a spike, a layer that vanishes, a clip and everything else; an odd one; short ones."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from steadygrad.journal import Journal, read
from steadygrad.record import CureRef, Evidence, Finding, Location, Severity
from steadygrad.record.run import Run, Session
from steadygrad.record.training import Action, Alarm, Look, Sign, Watched

WHEN = 1.7e9


def _made(give: Callable[[Journal], None], watched: list[Watched], about: dict[str, str | float]) -> Run:
    """The run as it is read back, with what differs from one machine to another made alike."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.sgj"
        with Journal(path, about=about, watched=watched, complain=print) as journal:
            give(journal)
        run = read(path)
    session = Session(1, WHEN, WHEN + 4000, WHEN + 4000, "host", 1)
    return dataclasses.replace(run, path="run.sgj", sessions=(session,))


def story() -> Run:
    """4,000 steps of a small transformer: warm-up, a spike at 2,400, blocks 0 and 1 vanish from 3,000 on."""
    names = ["model.embed.weight"]
    for block in range(6):
        for layer in ("attn.qkv", "attn.out", "mlp.up", "mlp.down"):
            names += [f"model.blocks.{block}.{layer}.{kind}" for kind in ("weight", "bias")]
    names += ["model.norm.weight", "model.head.weight"]
    steps = np.arange(1, 4001)
    depth = np.linspace(-2.4, -1.2, len(names))
    jitter = 0.1 * np.sin(np.outer(steps, 1 + np.arange(len(names))) * 0.7)
    levels = depth - 0.5 * np.log10(1 + steps / 200)[:, None] + jitter
    early = [index for index, name in enumerate(names) if ".0." in name or ".1." in name or "embed" in name]
    levels[:, early] -= 4 * np.clip((steps - 3000) / 600, 0, 1)[:, None]
    spike = np.where(steps >= 2400, np.exp(-np.maximum(0, steps - 2400) / 2), 0)
    near = np.exp(-np.abs(np.arange(len(names)) - names.index("model.blocks.4.attn.qkv.weight")) / 6)
    levels += np.log10(1 + 60 * spike[:, None] * near)
    norms = (10**levels).astype(np.float32)
    norms[:800, 0] = np.nan
    norms[:, names.index("model.blocks.5.mlp.up.bias")] = 0
    totals = np.sqrt(np.nansum(norms.astype(float) ** 2, axis=1))
    factors = np.minimum(1.0, 0.2 / totals)
    rates = 3e-4 * np.minimum(1.0, steps / 400) * (0.55 + 0.45 * np.cos(math.pi * steps / 4000))

    def give(journal: Journal) -> None:
        journal.rows(0, steps, WHEN + 0.25 * steps, norms, totals, factors, rates)
        journal.losses(steps, 2.3 + 6 * np.exp(-steps / 500) + spike)
        journal.weights(0, 4000, np.ones(len(names)), np.geomspace(1e-6, 2e-3, len(names)))
        at = Location("train.py", 48, 13, 48, 40, "        h = self.attn.qkv(self.norm(x))")
        journal.alarm(
            Alarm(
                number=1,
                step=2400,
                code="SG206",
                name="gradient-spike",
                severity=Severity.WARNING,
                parameter="model.blocks.4.attn.qkv.weight",
                message="the gradient's norm was 61 times its median over 200 steps",
                cause="a batch far from the others: the loss rose from 2.4 to 3.4 in the same step",
                location=at,
                action="skipped",
                noticed=2402,
                last_step=2404,
                ended=True,
                others=37,
                symptoms=("SG204",),
                advice="look at rows 17 and 40 of batch 2,400: loader.dataset[i] for i in the sampler's order",
                first_sign="the update of model.blocks.4.mlp.up.weight, 6 steps before the loss",
                signs=(
                    Sign("weights", 2394, "model.blocks.4.mlp.up.weight", 12.5),
                    Sign("loss", 2400),
                    Sign("gradient", 2400, factor=61),
                ),
                rows=(17, 40),
            )
        )
        journal.alarm(
            Alarm(
                number=2,
                step=3120,
                code="SG101",
                name="vanishing-gradient",
                severity=Severity.ERROR,
                parameter="model.embed.weight",
                message="the gradient's norm fell to 1/10,000 (4.0 decades) within 600 steps",
                delay=4,
                noticed=3180,
                last_step=4000,
                others=16,
            )
        )
        journal.action(Action(2402, "skip", 1, "the step was left out"))
        journal.action(Action(2403, "lower", 1, "the rate was halved", {"lr": 1.8e-4}, {"lr": 9e-5}))
        finding = Finding(
            "SG102",
            "saturated-activation",
            Severity.WARNING,
            "nn.Sigmoid() takes 3.1 of 4.0 decades",
            Location("train.py", 52, 9, 52, 20),
            "model.blocks.1",
            (Evidence("derivative rms", 0.01, "", "near 1"),),
            (CureRef("swap it"),),
        )
        for step in range(1000, 4001, 1000):
            found = (finding,) if step > 3000 else ()
            journal.look(Look(step, "at risk" if found else "healthy", found, 0.4, decades=-0.3))
        journal.look(Look(2402, "", (), 0.0, note="the batch was not to be had", alarm=1))
        journal.note(1, "reads every step: 0.6 % of a step")
        journal.extremes(2400, 0.4, 14.0, 0, 3)
        journal.summary({"steps": 4000, "interval": 1})

    about: dict[str, str | float] = {"optimizer": "AdamW", "clip": "norm ≤ 0.2", "script": "train.py --epochs 3"}
    return _made(give, [Watched(name, (64, 64), "float32", 0) for name in names], about)


def odd() -> Run:
    """Two optimizers that step at different times, values that are not finite, names that would move a cursor."""
    watched = [
        *(Watched(f"G.\x1b[31m層{number}", (1,), "float32", 0) for number in range(3)),
        *(Watched(f"D.{number}\nx", (1,), "float32", 1) for number in range(3)),
    ]

    def give(journal: Journal) -> None:
        every = np.arange(501, 801)
        seldom = every[::5]
        norms = np.full((len(every), 3), 0.1)
        norms[100:, 1], norms[:, 2] = np.inf, 0
        totals = np.where(every > 600, np.nan, 0.2)
        journal.rows(1, every, WHEN - every, norms, totals, np.ones(len(every)), np.full(len(every), 0.1))
        few = np.full((len(seldom), 3), 0.01)
        few[:20, 0] = np.nan
        journal.rows(0, seldom, WHEN - seldom, few, np.full(len(seldom), 0.02), np.full(len(seldom), 0.5), np.ones(60))
        journal.losses(every, np.where(every > 650, np.nan, 1.0))
        for number in range(1, 41):
            severity = (Severity.ERROR, Severity.WARNING, Severity.INFO)[number % 3]
            name = watched[number % 6].name
            step = 500 + number * 7
            journal.alarm(
                Alarm(number, step, "SG206", "gradient-spike", severity, name, "\x1b[2J\rspike", last_step=step)
            )

    return _made(give, watched, {"optimizers": "Adam, SGD\x07"})


SPIKED = 6543
PEAK_NORM, PEAK_LOSS = 4321.0, 98.7


def long() -> Run:
    """10,000 steps, all of them clipped to 1 but the first 2,000, and a spike of one single step."""
    steps = np.arange(1, 10_001)
    totals = 2.0 + np.sin(steps * 0.7) * 0.3
    totals[:2000] /= 4
    losses = 0.5 + 0.05 * np.cos(steps * 1.3)
    totals[SPIKED - 1], losses[SPIKED - 1] = PEAK_NORM, PEAK_LOSS

    def give(journal: Journal) -> None:
        for begin in range(0, 10_000, 64):
            part = slice(begin, begin + 64)
            rows = totals[part]
            norms = np.stack([0.6 * rows, 0.8 * rows], axis=1)
            factors = np.minimum(1, 1 / rows)
            journal.rows(0, steps[part], WHEN + 0.01 * steps[part], norms, rows, factors, np.full(len(rows), 0.1))
            journal.losses(steps[part], losses[part])
            journal.flush()
        journal.alarm(
            Alarm(1, SPIKED, "SG206", "gradient-spike", Severity.WARNING, "a", "the norm was ×2,160", last_step=SPIKED)
        )
        journal.action(Action(SPIKED, "skip", 1, "the step was left out"))
        journal.summary({"steps": 10_000, "interval": 1})

    return _made(give, [Watched(name, (8,), "float32", 0) for name in "ab"], {"optimizer": "SGD", "clip": "norm ≤ 1"})


def adversarial() -> Run:
    """A generator and a discriminator, each with its loss; every third step was read."""
    names = [f"{model}.net.{number}.weight" for model in ("Generator", "Discriminator") for number in range(2)]
    steps = np.arange(1, 601, 3)

    def give(journal: Journal) -> None:
        for number in range(2):
            totals = np.exp(-steps / 200) + number
            norms = np.stack([totals, totals], axis=1)
            factors = np.minimum(1.0, 0.5 / totals) if number else np.ones(len(steps))
            journal.rows(number, steps, WHEN + steps, norms, totals, factors, np.full(len(steps), 0.1))
            journal.losses(steps, 1 + number + np.exp(-steps / 100), optimizer=number)
        journal.alarm(Alarm(1, 301, "SG206", "gradient-spike", Severity.INFO, names[2], "×9", optimizer=1, ended=True))
        journal.summary({"steps": 600, "interval": 3})

    watched = [Watched(name, (8,), "float32", place // 2) for place, name in enumerate(names)]
    return _made(give, watched, {"optimizer": "Adam, Adam"})


def short(steps: int) -> Run:
    """So many steps of one parameter."""

    def give(journal: Journal) -> None:
        for step in range(1, steps + 1):
            journal.rows(0, [step], [WHEN + step], [[0.5]], [0.5], [1.0], [0.1])

    return _made(give, [Watched("weight", (1,), "float32", 0)], {})


ALL: dict[str, Callable[[], Run]] = {
    "story": story,
    "odd": odd,
    "long": long,
    "adversarial": adversarial,
    "nothing": lambda: short(0),
    "one step": lambda: short(1),
    "three steps": lambda: short(3),
}
