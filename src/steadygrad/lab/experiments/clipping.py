"""Clipping gradients to [−1, 1]: what it prevents, and what it does not."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from steadygrad.clip import clip_value_
from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.training import CLASSES, GUESSING, WORST, blobs, descend, plain, rescale_, rounded
from steadygrad.numerals import number

SHALLOW, WIDTH = 2, 32
RATE = 0.05
DEEP_STEPS, DEEP_NETS = 100, 4


@experiment(
    quick={"nets": 8, "steps": 160},
    refuted={"spike": 1.0},
    limits={"bound": (1e-4, 1e6), "spike": (1.0, 1e6), "depth": (5, 60), "steps": (60, 5000), "nets": (2, 100)},
    order=100,
)
def clipping(
    *, bound: float = 1.0, spike: float = 1000.0, depth: int = 20, steps: int = 400, nets: int = 12
) -> Outcome:
    """Clipping to [−1, 1] prevents what a spike does to the weights; it does not cure what depth does.

    ## Claim

    A step along an exploding gradient throws the weights far away; with every element clipped to an interval the step stays
    short and training goes on. A gradient that vanishes with depth is below the bounds, so a clip never touches it, and the
    net stays as stuck as it was.

    ## Source

    Mikolov 2012 (thesis; elements clipped to an interval); Pascanu, Mikolov and Bengio 2013 (arXiv:1211.5063), section
    3.2; Zhang et al. 2020 (arXiv:1905.11881).

    ## Measurement

    A shallow ReLU net trained by gradient descent at 0.05; one batch in the middle has its inputs multiplied and its labels
    shifted by one, as by a broken record. Loss at the end ÷ that of guessing, with and without the clip. Then a deep
    sigmoid net with both.

    ## Refuted by

    A training that ends as well unclipped as clipped, or does not survive the spike clipped, or a deep net that learns once it is
    clipped. With spike 1 it is refuted: there is nothing for the clip to prevent.

    ## Parameters

    - bound: every element of the gradient is clipped to [−bound, bound]
    - spike: factor on the inputs of one batch
    - depth: hidden layers of the deep net
    - steps: steps of the shallow net's training; the spike is in the middle
    - nets: nets, each on data of its own
    """
    runs = {
        name: [_spiked(bound if clipped else math.inf, spike, steps, seed) for seed in range(nets)]
        for name, clipped in (("no clip", False), ("clipped", True))
    }
    deep = {
        name: [_deep(depth, bound if clipped else math.inf) for _ in range(min(nets, DEEP_NETS))]
        for name, clipped in (("no clip", False), ("clipped", True))
    }
    bare, kept = ([math.log10(rounded(one) / GUESSING) for one in runs[name]] for name in ("no clip", "clipped"))
    stuck = {name: [rounded(one) / GUESSING for one in losses] for name, losses in deep.items()}
    still = {name: sum(ends) / len(ends) for name, ends in stuck.items()}
    return Outcome(
        readings=(
            mean_reading(
                "after the spike: log10 of loss without ÷ with the clip",
                [one - other for one, other in zip(bare, kept, strict=True)],
                unit="decades",
                least=0.3,
            ),
            mean_reading(
                "after the spike, clipped: log10 of loss ÷ that of guessing", kept, unit="decades", greatest=-0.3
            ),
            mean_reading(f"{depth} sigmoid layers, clipped: loss ÷ that of guessing", stuck["clipped"], least=0.95),
        ),
        figures=(
            Panel(
                f"A batch × {number(spike)} in the middle, median over the nets",
                "step",
                "cross-entropy",
                tuple(_curve(name, losses) for name, losses in runs.items()),
                y_log=True,
            ),
            Panel(
                f"{depth} sigmoid layers, median over the nets",
                "step",
                "cross-entropy",
                tuple(_curve(name, losses) for name, losses in deep.items()),
                y_range=(0.0, 2.0),
            ),
        ),
        seen=f"Without the clip the spike ends at {number(10 ** (sum(bare) / nets))} times the loss of guessing, with it at "
        f"{number(10 ** (sum(kept) / nets))}; the deep net stays at {number(still['no clip'])} without and "
        f"{number(still['clipped'])} with it.",
    )


def _clip(net: nn.Module, bound: float) -> Callable[[], None]:
    return lambda: clip_value_(net.parameters(), -bound, bound)


def _spiked(bound: float, spike: float, steps: int, seed: int) -> list[float]:
    """The losses of one training; the same seed gives the same net and data, clipped or not."""
    with torch.random.fork_rng():
        torch.manual_seed(torch.initial_seed() + seed + 1)
        net = plain(SHALLOW, WIDTH, nn.ReLU)
        rescale_(net, math.sqrt(2.0))
        x, y = blobs(512)
        batches: list[tuple[Tensor, Tensor]] = []
        for step in range(steps):
            rows = torch.randint(len(x), (64,))
            broken = step == steps // 2
            batches.append((spike * x[rows], (y[rows] + 1) % CLASSES) if broken else (x[rows], y[rows]))
        return descend(net, batches, torch.optim.SGD(net.parameters(), lr=RATE), before_step=_clip(net, bound))


def _deep(depth: int, bound: float) -> list[float]:
    net = plain(depth, WIDTH, nn.Sigmoid)
    data = blobs(128)
    return descend(net, [data] * DEEP_STEPS, torch.optim.SGD(net.parameters(), lr=RATE), before_step=_clip(net, bound))


def _curve(name: str, losses: list[list[float]]) -> Curve:
    values = torch.tensor(losses).clamp(max=WORST).median(0).values
    stride = max(1, len(values) // 200)
    return Curve(name, tuple(map(float, range(0, len(values), stride))), tuple(values[::stride].tolist()))
