"""How often one pass is enough to tell whether a set-up trains, and what ten real steps add."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from steadygrad._check import check_subject
from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading, share_reading
from steadygrad.lab.training import GUESSING, blobs, descend, plain, rescale_, residual, rounded
from steadygrad.numerals import percent
from steadygrad.record import Verdict
from steadygrad.subject.subject import make_subject

WIDTH = 32
RATE = 1e-3
"""Adam's default, in the middle of the rates."""

# What training did, by the loss at its end ÷ that of guessing; a set-up between the two is left out of the count.
TRAINS, FAILS = 0.5, 0.9


def _rectified() -> nn.Module:
    net = plain(6, WIDTH, nn.ReLU)
    rescale_(net, math.sqrt(2.0))
    return net


KINDS: dict[str, Callable[[], nn.Module]] = {
    "6 ReLU, He": _rectified,
    "10 sigmoid": lambda: plain(10, WIDTH, nn.Sigmoid),
    "8 residual": lambda: residual(8, WIDTH, nn.ReLU),
}


@experiment(
    quick={"nets": 3, "rates": 3, "steps": 60},
    refuted={"spread": 0.0},
    limits={"nets": (1, 50), "rates": (2, 15), "spread": (0.0, 6.0), "steps": (50, 5000)},
    order=160,
)
def verdict(*, nets: int = 8, rates: int = 7, spread: float = 3.0, steps: int = 150) -> Outcome:
    """One pass alone often cannot tell whether a set-up trains, since the learning rate decides too; ten steps tell more.

    ## Claim

    One forward and backward pass sees vanished and exploded gradients, but not the learning rate: the same net and batch
    train at one rate and not at another. Ten steps of the real optimizer on a copy see both.

    ## Source

    Goodfellow, Bengio and Courville 2016, section 11.4.1 (the learning rate is the most important hyperparameter); You et al.
    2017 (arXiv:1708.03888) on update ÷ weight. The two verdicts are those of this package's own check.

    ## Measurement

    Three kinds of nets with Adam at rates around 1e-3, all trained; a set-up trains where the loss ends below half that of
    guessing, fails above nine tenths, and is left out between. Each is checked with the probe alone and with ten steps. A
    verdict is wrong where it calls "healthy" what fails or "will not train" what trains; "at risk" is a warning, and wrong
    about neither. Beside it stands what was counted, in the same words, on the held-out part of this project's truth table:
    set-ups of many kinds, trained three times each, on which no threshold was fitted: docs/measured-verdict.md.

    ## Refuted by

    One pass that is right as often as with ten steps, or ten steps that are wrong often. With spread 0, where every rate is
    1e-3, it is refuted: then one pass is enough.

    ## Parameters

    - nets: nets of each kind
    - rates: learning rates
    - spread: decades on either side of 1e-3
    - steps: steps of each training, on the whole of the data
    """
    grid = [RATE * 10 ** (spread * (2 * number / (rates - 1) - 1)) for number in range(rates)]
    rows: list[tuple[str, float, bool, Verdict, Verdict]] = []
    for name, build in KINDS.items():
        for _ in range(nets):
            net, data = build(), blobs(64)
            before = {key: value.clone() for key, value in net.state_dict().items()}
            one_pass = _verdict(net, data, RATE, 0)
            for rate in grid:
                net.load_state_dict(before)
                with_steps = _verdict(net, data, rate, 10)
                end = rounded(descend(net, [data] * steps, torch.optim.Adam(net.parameters(), lr=rate))) / GUESSING
                if end < TRAINS or end > FAILS:
                    rows.append((name, rate, end < TRAINS, one_pass, with_steps))
    right = {
        "one pass": [_right(row[3], trains=row[2]) for row in rows],
        "with ten steps": [_right(row[4], trains=row[2]) for row in rows],
    }
    table = {tier: _counted(tier) for tier in ("probe", "steptest")}
    gains = [float(b) - float(a) for a, b in zip(right["one pass"], right["with ten steps"], strict=True)]
    return Outcome(
        readings=(
            share_reading(
                "one pass, share of set-ups judged rightly", sum(right["one pass"]), len(rows), greatest=0.85
            ),
            share_reading("with ten steps, the same", sum(right["with ten steps"]), len(rows), least=0.65),
            mean_reading("what ten steps add to the share", gains, least=0.0),
            share_reading("truth table, held-out part: one pass", *table["probe"], greatest=0.85),
            share_reading("the same with the step test", *table["steptest"], least=0.85),
        ),
        figures=(
            Panel(
                "Judged rightly, by learning rate",
                "learning rate",
                "share",
                tuple(Curve(name, *_by_rate(grid, [row[1] for row in rows], hits)) for name, hits in right.items()),
                x_log=True,
                y_range=(0.0, 1.0),
            ),
            Panel(
                "Share of set-ups that train",
                "learning rate",
                "share",
                tuple(
                    Curve(
                        kind,
                        *_by_rate(
                            grid, [row[1] for row in rows if row[0] == kind], [row[2] for row in rows if row[0] == kind]
                        ),
                    )
                    for kind in KINDS
                ),
                x_log=True,
                y_range=(0.0, 1.0),
            ),
        ),
        seen=f"Of {len(rows)} set-ups {percent(sum(row[2] for row in rows) / len(rows))} train; one pass is right on "
        f"{percent(sum(right['one pass']) / len(rows))}, ten steps on {percent(sum(right['with ten steps']) / len(rows))}.",
    )


def _counted(tier: str) -> tuple[int, int]:
    """Set-ups of the truth table's held-out part judged rightly, and all of them that train or fail."""
    one = json.loads((Path(__file__).parents[1] / "held_out.json").read_text(encoding="utf-8"))[tier]
    return one["found"] + one["training"] - one["false_alarms"], one["failing"] + one["training"]


def _right(said: Verdict, *, trains: bool) -> bool:
    return said is not (Verdict.WILL_NOT_TRAIN if trains else Verdict.HEALTHY)


def _verdict(net: nn.Module, data: tuple[torch.Tensor, torch.Tensor], rate: float, trial: int) -> Verdict:
    subject = make_subject(net, data, F.cross_entropy, optimizer=torch.optim.Adam(net.parameters(), lr=rate))
    return check_subject(subject, trial=trial).verdict


def _by_rate(grid: list[float], rates: list[float], hits: list[bool]) -> tuple[list[float], list[float]]:
    """Rates that were counted, and the share of hits at each."""
    counted = [rate for rate in dict.fromkeys(grid) if rate in rates]
    shares = []
    for rate in counted:
        here = [hit for one, hit in zip(rates, hits, strict=True) if one == rate]
        shares.append(sum(here) / len(here))
    return counted, shares
