"""A net taken apart operation by operation: the decades that each one takes add up to the whole."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from steadygrad._check import check_subject
from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading, value_reading
from steadygrad.lab.training import blobs, plain, rescale_
from steadygrad.numerals import number
from steadygrad.record import Trunk
from steadygrad.subject.subject import make_subject

WIDTH = 32


@experiment(
    quick={"nets": 4},
    refuted={"activation": "tanh"},
    limits={"depth": (2, 100), "gain": (0.05, 10.0), "nets": (2, 100)},
    choices={"activation": ("sigmoid", "tanh", "relu")},
    order=150,
)
def blame(*, activation: str = "sigmoid", depth: int = 20, gain: float = 1.0, nets: int = 20) -> Outcome:
    """What a gradient loses divides exactly among operations, and in a sigmoid net most of it is the sigmoid's derivative.

    ## Claim

    The gradient's norm behind an operation ÷ in front of it is that operation's gain. On operations that every gradient
    passes gains multiply, so their logarithms add up to all that is lost, and each cause has its share. With weights that
    keep the scale, sigmoid's derivative, at most ¼, takes nearly all.

    ## Source

    Hochreiter 1991 (the factor at most ¼ of a logistic unit); Glorot and Bengio 2010, section 4.2.1. The division among
    operations is the chain rule.

    ## Measurement

    The probe's decades, operation by operation, beside the norm of the loss's gradient at the input by torch's autograd in
    float64, which knows of no operations.

    ## Refuted by

    Parts that do not add up to autograd's whole, or another cause that takes most. With activation tanh it is refuted:
    there the weights or nothing is to blame.

    ## Parameters

    - activation: the function
    - depth: hidden layers
    - gain: σ_w
    - nets: nets
    """
    kinds = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
    gaps, taken, a_layer, trunks = [], [], [], []
    for _ in range(nets):
        net = plain(depth, WIDTH, kinds[activation]).double()
        rescale_(net, gain)
        x, y = blobs(64)
        x = x.double()
        trunks.append(_trunk(net, x, y))
        total = trunks[-1].log10_start + trunks[-1].decades
        gaps.append(abs(total - _autograd(net, x, y)))
        by_activation = trunks[-1].blame.get("activation derivative", 0.0)
        taken.append(by_activation / trunks[-1].decades)
        a_layer.append(by_activation / depth)
    return Outcome(
        readings=(
            value_reading(
                "greatest distance of the sum of the parts from autograd's whole",
                max(gaps),
                unit="decades",
                greatest=0.01,
            ),
            mean_reading("share of the decades that the activation's derivative takes", taken, least=0.5, greatest=1.5),
            mean_reading(
                "what it takes a layer, against at most log10 ¼", a_layer, unit="decades", greatest=math.log10(0.25)
            ),
        ),
        figures=(_by_cause(trunks[-1]), _walk(trunks[-1])),
        seen=f"In the last net {number(trunks[-1].decades)} decades: "
        + ", ".join(
            f"{cause} {number(value)}" for cause, value in sorted(trunks[-1].blame.items(), key=lambda item: item[1])
        )
        + ".",
    )


def _trunk(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> Trunk:
    subject = make_subject(net, (x, y), F.cross_entropy, optimizer=torch.optim.SGD(net.parameters(), lr=0.1))
    trunk = check_subject(subject, trial=0).trace.trunk
    assert trunk is not None
    return trunk


def _autograd(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> float:
    """log10 norm of the loss's gradient at the input."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(net(x), y), x)
    return math.log10(float(gradient.norm()))


def _walk(trunk: Trunk) -> Panel:
    """The gradient's norm at each operation, from the loss to the input."""
    values = [trunk.log10_start]
    for step in trunk.steps:
        values.append(values[-1] + step.decades)
    x = tuple(map(float, range(len(values))))
    return Panel(
        "Gradient from the loss to the input",
        "operations from the loss",
        "log10 norm",
        (Curve("norm", x, tuple(values)),),
    )


def _by_cause(trunk: Trunk) -> Panel:
    """Decades of each cause, added up from the loss to the input."""
    x = tuple(map(float, range(len(trunk.steps) + 1)))
    curves = []
    for cause in sorted(trunk.blame, key=lambda one: trunk.blame[one]):
        sums = [0.0]
        for step in trunk.steps:
            sums.append(sums[-1] + (step.decades if step.cause == cause else 0.0))
        curves.append(Curve(cause, x, tuple(sums)))
    return Panel("What each cause has taken so far", "operations from the loss", "decades", tuple(curves))
