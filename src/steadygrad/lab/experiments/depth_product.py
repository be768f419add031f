"""Products of as many random factors as a net has layers: the probability that one leaves any fixed interval."""

from __future__ import annotations

import math

import torch

from steadygrad.lab import Curve, Outcome, Panel, Reading, experiment, mean_reading, share_reading
from steadygrad.lab.intervals import share_interval
from steadygrad.lab.nets import Stack, gradients
from steadygrad.numerals import number
from steadygrad.theory.meanfield import probability_outside

DEPTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)
"""Depths that are looked at, as shares of the greatest."""

# A share counts as "nearly all" from here; it is what the claim's limit of 1 is held against.
NEARLY_ALL = 0.9


@experiment(
    quick={"nets": 300},
    refuted={"depth": 4, "width": 64},
    limits={"depth": (2, 400), "width": (1, 128), "nets": (20, 20000), "bound": (0.1, 10.0), "gain": (0.1, 4.0)},
    choices={"activation": ("linear", "relu", "tanh", "sigmoid")},
    order=30,
)
def depth_product(
    *,
    depth: int = 200,
    width: int = 4,
    nets: int = 2000,
    bound: float = 1.0,
    activation: str = "linear",
    gain: float = 1.0,
) -> Outcome:
    """A product of n factors leaves any fixed interval as n grows, even where the factors are 1 on average.

    ## Claim

    Back-propagation multiplies as many factors as there are layers, and a product of n numbers vanishes or explodes as n
    grows: its logarithm is a sum, so it is about normal with a deviation that grows as √n (a log-normal law), and the
    probability of staying within any bounds tends to 0. Weights that keep the mean square at exactly 1 do not help.

    ## Source

    Bengio, Simard and Frasconi 1994; Hanin and Nica 2020 (arXiv:1812.05994), theorem 1: log-normal with a
    variance that grows as depth ÷ width.

    ## Measurement

    Random nets in float64, one gradient through each by autograd; the share whose gradient norm at layer n has left
    [10^−bound, 10^bound]. Beside it the log-normal law, whose mean and deviation are those of one layer's factor, taken
    from other nets.

    ## Refuted by

    A share that stays away from 1 at the greatest depth, or measured shares far from the law. With depth 4 and width 64 it
    is refuted: four wide layers are too few to leave the interval.

    ## Parameters

    - depth: greatest number of layers
    - width: units of a layer; the deviation of one factor shrinks with it
    - nets: random nets
    - bound: decades on either side of 1
    - activation: the function of each layer
    - gain: σ_w; 1 keeps a linear net's mean square
    """
    stack = Stack(depth, width, activation, gain)
    back = _back(stack, nets)
    end = back[:, -1]
    middle_half = float(end.quantile(0.75) - end.quantile(0.25))
    factors = _back(stack, nets).diff(dim=1)
    mean, deviation = float(factors.mean()), float(factors.std())
    steps = sorted({max(1, round(share * depth)) for share in DEPTHS})
    hits = [int((back[:, n].abs() > bound).sum()) for n in steps]
    shares = [count / nets for count in hits]
    law = [probability_outside(n, mean, deviation, -bound, bound) for n in steps]
    bands = [share_interval(count, nets) for count in hits]
    far = max(abs(a - b) for a, b in zip(shares, law, strict=True))
    # Wilson's interval is widest at a half; the greatest of several differences has it as its own.
    half = (share_interval(nets // 2, nets)[1] - share_interval(nets // 2, nets)[0]) / 2
    return Outcome(
        readings=(
            share_reading(
                f"share of nets outside ±{bound:g} decades after {depth} layers", hits[-1], nets, least=NEARLY_ALL
            ),
            mean_reading(
                "deviation of the log of the product ÷ √n × that of one factor",
                _deviations(end, math.sqrt(depth) * deviation),
                least=0.8,
                greatest=1.25,
            ),
            Reading(
                "greatest difference of a share from the log-normal law",
                far,
                max(0.0, far - half),
                far + half,
                greatest=0.15,
            ),
        ),
        figures=(
            Panel(
                "Share of nets whose gradient has left the interval",
                "layers",
                "share",
                (
                    Curve(
                        "measured",
                        tuple(map(float, steps)),
                        tuple(shares),
                        tuple(band[0] for band in bands),
                        tuple(band[1] for band in bands),
                    ),
                    Curve("log-normal law", tuple(map(float, steps)), tuple(law), style="dashed"),
                ),
                y_range=(0.0, 1.0),
            ),
            _histogram(end, depth * mean, math.sqrt(depth) * deviation),
        ),
        seen=f"One factor has mean {number(mean)} and deviation {number(deviation)} decades; "
        f"after {depth} layers the middle half of the nets spans {number(middle_half)} decades.",
    )


def _back(stack: Stack, nets: int) -> torch.Tensor:
    """log10 gradient norm after 0, 1, 2 … layers on the way back; (nets, depth + 1)."""
    return gradients(stack, nets).decades.flip(1)


def _deviations(end: torch.Tensor, expected: float) -> list[float]:
    """Ratio of the deviation in each tenth of the nets to the expected one: ten independent samples."""
    return [float(part.std()) / expected for part in end.chunk(10) if len(part) > 1]


def _histogram(end: torch.Tensor, mean: float, deviation: float) -> Panel:
    count, edges = torch.histogram(end, bins=24)
    centres = (edges[1:] + edges[:-1]) / 2
    density = count / count.sum() / (edges[1] - edges[0])
    normal = torch.exp(-0.5 * ((centres - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
    x = tuple(centres.tolist())
    return Panel(
        "Gradient after all layers, over the nets",
        "decades (log10 of the norm)",
        "density",
        (
            Curve("measured", x, tuple(density.tolist())),
            Curve("log-normal law", x, tuple(normal.tolist()), style="dashed"),
        ),
    )
