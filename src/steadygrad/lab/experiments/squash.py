"""Derivatives of squashing activations near and far from 0, and how much of a batch lies where they are small."""

from __future__ import annotations

import torch

from steadygrad.lab import Curve, Outcome, Panel, experiment, share_reading, value_reading
from steadygrad.lab.nets import ACTIVATIONS
from steadygrad.numerals import number, percent

# The share of the greatest derivative under which a unit counts as saturated; the probe uses the same.
SATURATED = 0.05

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@experiment(
    quick={"samples": 20000},
    refuted={"activation": "relu"},
    limits={"scale": (0.1, 100.0), "far": (0.5, 50.0), "samples": (100, 10000000)},
    choices={"activation": ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")},
    order=10,
)
def squash(*, activation: str = "sigmoid", scale: float = 8.0, far: float = 6.0, samples: int = 200000) -> Outcome:
    """A squashing activation's derivative is near 0 away from 0, and much of a batch can lie there.

    ## Claim

    Sigmoid and tanh map the line into an interval, so their derivatives are near 0 away from 0; a unit whose input lies
    there is saturated and hands almost no gradient on. With inputs of a large scale most units are.

    ## Source

    Bengio, Simard and Frasconi 1994; Glorot and Bengio 2010, section 3 (saturation of hidden units).

    ## Measurement

    The derivative by autograd in float64 on a grid, on both sides from far outwards; and the share of a batch of
    pre-activations ~ N(0, scale²) at which it is below 5 % of its greatest value.

    ## Refuted by

    A derivative that stays large on either side, or a batch that mostly lies where the derivative is not small. With
    activation relu it is refuted: on the right its derivative is 1 as far as one goes.

    ## Parameters

    - activation: the function
    - scale: standard deviation of the pre-activations
    - far: distance from 0 from which the derivative is held to be small
    - samples: pre-activations that are drawn
    """
    steepest = greatest(activation)
    tails = torch.linspace(far, far + 50, 2001, dtype=torch.float64)
    left, right = (float(derivative(activation, side * tails).abs().max()) / steepest for side in (-1, 1))
    batch = scale * torch.randn(samples, dtype=torch.float64)
    saturated = int((derivative(activation, batch).abs() < SATURATED * steepest).sum())
    return Outcome(
        readings=(
            value_reading(f"derivative beyond {far:g} on the left ÷ greatest", left, greatest=SATURATED),
            value_reading(f"derivative beyond {far:g} on the right ÷ greatest", right, greatest=SATURATED),
            share_reading(f"share of a batch of scale {scale:g} that is saturated", saturated, samples, least=0.5),
        ),
        figures=(_derivatives(activation), _shares(activation, samples)),
        seen=f"{activation}'s greatest derivative is {number(steepest)}; {percent(saturated / samples)} of the batch "
        f"lies where it is below {number(SATURATED * steepest)}.",
    )


def derivative(activation: str, x: torch.Tensor) -> torch.Tensor:
    """φ′(x) by autograd."""
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(ACTIVATIONS[activation](x).sum(), x)
    return slope


def greatest(activation: str) -> float:
    """Greatest |φ′| on a fine grid."""
    return float(derivative(activation, torch.linspace(-12, 12, 48_001, dtype=torch.float64)).abs().max())


def _compared(activation: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((activation, "sigmoid", "tanh", "relu", "elu", "gelu")))


def _derivatives(activation: str) -> Panel:
    x = torch.linspace(-8, 8, 161, dtype=torch.float64)
    curves = (Curve(name, tuple(x.tolist()), tuple(derivative(name, x).tolist())) for name in _compared(activation))
    return Panel("Derivative of each activation", "pre-activation", "φ′", tuple(curves))


def _shares(activation: str, samples: int) -> Panel:
    z = torch.randn(min(samples, 20_000), dtype=torch.float64)
    curves = []
    for name in _compared(activation):
        bound = SATURATED * greatest(name)
        shares = [float((derivative(name, scale * z).abs() < bound).double().mean()) for scale in SCALES]
        curves.append(Curve(name, SCALES, tuple(shares)))
    title = "Share of a batch below 5 % of the greatest derivative"
    return Panel(title, "scale of the pre-activations", "share", tuple(curves), x_log=True, y_range=(0.0, 1.0))
