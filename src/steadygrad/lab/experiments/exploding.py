"""Exploding gradients: large weights, large updates; initialisation and batch norm against them; batch norm that makes them."""

from __future__ import annotations

import math

import torch
from torch import nn

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.nets import Stack, gradients
from steadygrad.lab.training import blobs, descend, matrices, plain, rescale_
from steadygrad.numerals import number

HE = math.sqrt(2.0)

# Yang et al. 2019: batch norm with ReLU multiplies the gradient's square by π ÷ (π − 1) in each layer, for large batches.
PUBLISHED = 0.5 * math.log10(math.pi / (math.pi - 1))

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)

RATE = 0.1
"""Of the training; ordinary for plain gradient descent."""


@experiment(
    quick={"nets": 8, "trained": 3},
    refuted={"times": 0.5},
    limits={
        "depth": (5, 100),
        "times": (0.1, 20.0),
        "width": (4, 256),
        "batch": (4, 1024),
        "nets": (2, 500),
        "trained": (2, 50),
    },
    order=90,
)
def exploding(
    *, depth: int = 30, times: float = 2.0, width: int = 64, batch: int = 64, nets: int = 60, trained: int = 8
) -> Outcome:
    """Large weights make gradients and updates explode; a suitable scale and batch norm prevent it, and batch norm makes some.

    ## Claim

    With weights above the critical scale the gradient grows exponentially with depth, and so do the updates. He's scale
    prevents it. Batch norm prevents what comes from the weights' scale, since it divides it out; but in a deep net without
    skips it explodes by itself, ReLU's gradient by √(π ÷ (π − 1)) a layer. Skips take that away.

    ## Source

    Pascanu, Mikolov and Bengio 2013 (arXiv:1211.5063), section 2.1; He et al. 2015 (arXiv:1502.01852), equation 14;
    Ioffe and Szegedy 2015 (arXiv:1502.03167), section 3.3; Yang et al. 2019 (arXiv:1902.08129), section 3 (ReLU: π ÷ (π − 1) for
    the square).

    ## Measurement

    Random ReLU nets in float64: decades a layer with weights times He's scale, at He's scale, with batch norm and those same
    large weights, and with skips besides. Then one step of gradient descent at rate 0.1: the size of the update ÷ that of
    the weights, first hidden layer.

    ## Refuted by

    Large weights that do not explode, a gain of batch norm that depends on the weights' scale or is far from the published
    one. With times 0.5 it is refuted: the gradient vanishes instead.

    ## Parameters

    - depth: layers
    - times: scale of the weights as a multiple of He's
    - width: units of a layer
    - batch: samples, over which batch norm takes its statistics
    - nets: random nets
    - trained: nets of each kind that take one step
    """
    kinds = {
        f"{times:g} × He": Stack(depth, width, "relu", times * HE),
        "He": Stack(depth, width, "relu", HE),
        f"{times:g} × He, batch norm": Stack(depth, width, "relu", times * HE, norm=True),
        f"{times:g} × He, batch norm, skips": Stack(
            depth, width, "relu", times * HE, norm=True, skip=1.0, branch=1 / math.sqrt(depth)
        ),
    }
    runs = {name: gradients(stack, nets, batch=batch).decades for name, stack in kinds.items()}
    large, he, norm, skips = ((run[:, 0] / depth).tolist() for run in runs.values())
    updates = {
        name: [_update(depth, gain) for _ in range(trained)] for name, gain in (("large", times * HE), ("he", HE))
    }
    layers = tuple(float(number) for number in range(depth + 1))
    return Outcome(
        readings=(
            mean_reading(f"weights {times:g} × He's", large, unit="decades a layer", least=0.1),
            mean_reading("weights of He's scale", he, unit="decades a layer", least=-0.05, greatest=0.05),
            mean_reading(
                f"batch norm, weights {times:g} × He's, without skips",
                norm,
                unit="decades a layer",
                least=PUBLISHED - 0.03,
                greatest=PUBLISHED + 0.03,
            ),
            mean_reading("the same with skips", skips, unit="decades a layer", least=-0.03, greatest=0.03),
            mean_reading(
                f"first update ÷ weight, weights {times:g} × He's, log10", updates["large"], unit="decades", least=1.0
            ),
            mean_reading("first update ÷ weight, He's scale, log10", updates["he"], unit="decades", greatest=0.0),
        ),
        figures=(
            Panel(
                "Gradient on its way to the input",
                "layers from the output",
                "decades",
                (
                    *(Curve(name, layers, tuple(run.mean(0).flip(0).tolist())) for name, run in runs.items()),
                    Curve("½ log10 π ÷ (π − 1) a layer", layers, tuple(PUBLISHED * n for n in layers), style="dashed"),
                ),
            ),
            _by_scale(depth, width, batch, max(2, nets // 4)),
        ),
        seen=f"Batch norm without skips gains {number(sum(norm) / nets)} decades a layer; "
        f"{number(PUBLISHED)} is the published value.",
    )


def _by_scale(depth: int, width: int, batch: int, nets: int) -> Panel:
    """Decades a layer against the weights' scale: batch norm does not know it."""
    curves = []
    for name, normed in (("no norm", False), ("batch norm", True)):
        stacks = (Stack(depth, width, "relu", scale * HE, norm=normed) for scale in SCALES)
        gains = [float(gradients(stack, nets, batch=batch).decades[:, 0].mean()) / depth for stack in stacks]
        curves.append(Curve(name, SCALES, tuple(gains)))
    return Panel(
        "Gain of a layer, by the scale of its weights", "scale ÷ He's", "decades a layer", tuple(curves), x_log=True
    )


def _update(depth: int, gain: float) -> float:
    """log10 of ‖first update‖ ÷ ‖weight‖ of the first layer."""
    net = plain(depth, 64, nn.ReLU).double()
    rescale_(net, gain)
    x, y = blobs(128)
    first = matrices(net)[0].detach()
    before = first.clone()
    descend(net, [(x.double(), y)], torch.optim.SGD(net.parameters(), lr=RATE))
    return math.log10(max(1e-300, float((first - before).norm() / before.norm())))
