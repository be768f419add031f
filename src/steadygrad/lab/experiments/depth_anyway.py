"""Depth makes gradients vanish although the activation does not squash; residual connections keep them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.intervals import mean_interval
from steadygrad.lab.nets import Stack, gradients
from steadygrad.lab.training import GUESSING, blobs, descend, plain, rescale_, residual, rounded
from steadygrad.numerals import number

Build = Callable[[int, int, Callable[[], nn.Module]], nn.Module]

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Depths that are looked at, as shares of the greatest."""


@experiment(
    quick={"nets": 30, "trained": 2, "steps": 80},
    refuted={"gain": 1.414},
    limits={
        "depth": (10, 200),
        "width": (4, 256),
        "nets": (4, 2000),
        "gain": (0.05, 5.0),
        "trained": (2, 50),
        "steps": (20, 5000),
    },
    order=80,
)
def depth_anyway(
    *, depth: int = 40, gain: float = 0.577, width: int = 64, nets: int = 300, trained: int = 8, steps: int = 300
) -> Outcome:
    """With ReLU too the gradient vanishes by depth where weights are a little small; residual connections keep it.

    ## Claim

    An activation that does not squash removes one factor below 1, not the product: with ReLU each layer multiplies the
    gradient's square by σ_w² ÷ 2, and at torch's default σ_w² = 1/3 it loses 0.39 decades a layer. With skips the same
    layers keep it at every depth, and train.

    ## Source

    He et al. 2015 (arXiv:1502.01852), equation 14: the product over layers of ½ n Var(w); He et al. 2016a
    (arXiv:1512.03385), section 4.

    ## Measurement

    Random ReLU nets of five depths in float64, plain and residual (branches × 1 ÷ √depth): the slope of log10 gradient over
    depth, and its distance from log10(σ_w ÷ √2). Then both trained with Adam at 1e-3 from the same scale of weights.

    ## Refuted by

    A plain net whose gradient does not fall with depth, or a residual one whose gradient does. With He's scale (gain 1.414)
    it is refuted: the product is then 1 on average.

    ## Parameters

    - depth: greatest number of layers
    - gain: σ_w; torch's default is 0.577, He's 1.414
    - width: units of a layer
    - nets: random nets of each depth
    - trained: nets of each kind that are trained
    - steps: steps of each training
    """
    depths = [max(2, round(share * depth)) for share in SHARES]
    expected = math.log10(gain / math.sqrt(2))
    plains = [gradients(Stack(n, width, "relu", gain), nets).decades[:, 0] for n in depths]
    skips = [
        gradients(Stack(n, width, "relu", gain, skip=1.0, branch=1 / math.sqrt(n)), nets).decades[:, 0] for n in depths
    ]
    slopes = [(plains[-1] / depths[-1]).tolist(), (skips[-1] / depths[-1]).tolist()]
    losses = {
        "plain": _train(plain, depth, gain, trained, steps),
        "residual": _train(residual, depth, gain, trained, steps),
    }
    ends = {name: [rounded(one) / GUESSING for one in runs] for name, runs in losses.items()}
    x = tuple(map(float, depths))
    every = tuple(range(0, steps, max(1, steps // 100)))
    return Outcome(
        readings=(
            mean_reading("plain, slope over depth", slopes[0], unit="decades a layer", greatest=-0.1),
            mean_reading(
                "plain, slope − log10(σ_w ÷ √2)",
                [slope - expected for slope in slopes[0]],
                unit="decades a layer",
                least=-0.03,
                greatest=0.03,
            ),
            mean_reading("residual, slope over depth", slopes[1], unit="decades a layer", least=-0.02, greatest=0.02),
            mean_reading(f"plain, loss after {steps} steps ÷ that of guessing", ends["plain"], least=0.9),
            mean_reading(f"residual, loss after {steps} steps ÷ that of guessing", ends["residual"], greatest=0.5),
        ),
        figures=(
            Panel(
                "Gradient at the input, by depth",
                "layers",
                "decades",
                (
                    *(_curve(name, x, ends_) for name, ends_ in (("plain", plains), ("residual", skips))),
                    Curve("log10(σ_w ÷ √2) a layer", x, tuple(n * expected for n in depths), style="dashed"),
                ),
            ),
            Panel(
                f"Training at {depth} layers, mean over nets",
                "step",
                "cross-entropy",
                tuple(
                    Curve(
                        name, tuple(map(float, every)), tuple(float(torch.tensor(runs).mean(0)[step]) for step in every)
                    )
                    for name, runs in losses.items()
                ),
            ),
        ),
        seen=f"{number(sum(slopes[0]) / nets)} decades a layer were measured where He's product gives {number(expected)}.",
    )


def _train(build: Build, depth: int, gain: float, trained: int, steps: int) -> list[list[float]]:
    found = []
    for _ in range(trained):
        net = build(depth, 32, nn.ReLU)
        rescale_(net, gain)
        data = blobs(256)
        found.append(descend(net, [data] * steps, torch.optim.Adam(net.parameters(), lr=1e-3)))
    return found


def _curve(name: str, x: tuple[float, ...], ends: list[torch.Tensor]) -> Curve:
    found = [mean_interval(one.tolist()) for one in ends]
    return Curve(
        name,
        x,
        tuple(value for value, _ in found),
        tuple(value - half for value, half in found),
        tuple(value + half for value, half in found),
    )
