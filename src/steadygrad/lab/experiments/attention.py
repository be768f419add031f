"""Transformers: the norm behind each branch or in front of it, and what depth does to the gradient."""

from __future__ import annotations

import math

import torch
from torch import nn

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.nets import linear_fit
from steadygrad.numerals import number

HEADS, POSITIONS, BATCH = 4, 12, 4

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Depths that are looked at, as shares of the greatest."""


@experiment(
    quick={"nets": 8, "depth": 24},
    refuted={"branch": 0.1},
    limits={"depth": (8, 96), "width": (8, 256), "branch": (0.01, 3.0), "nets": (2, 200)},
    order=120,
)
def attention(*, depth: int = 32, width: int = 32, branch: float = 1.0, nets: int = 20) -> Outcome:
    """Post-norm transformers shrink the gradient on its way and keep a large one at the top; pre-norm ones do neither.

    ## Claim

    With the norm behind each addition (post-norm) the gradient is shrunk on its way through the layers, and at the last
    layer it is large whatever the depth, which is why training needs a warm-up. With the norm in front of each branch
    (pre-norm) the way to the input is free, and the gradient at the last layer falls as 1 ÷ √depth.

    ## Source

    Xiong et al. 2020 (arXiv:2002.04745), theorem 1: last layer's gradient O(d √ln d) in post-norm, O(d √(ln d ÷ L)) in
    pre-norm, and section 3.3; Wang et al. 2019 (arXiv:1906.01787).

    ## Measurement

    torch's encoder layers with Xavier weights in float64, a random direction sent back from the output: decades lost on
    the first half of the way to the input, and the slope of log gradient of the last layer's second feed-forward matrix
    over log depth (theorem 1 says 0 and −½).

    ## Refuted by

    A post-norm net that loses nothing or a pre-norm one that does, or slopes that are not apart. With branch 0.1 it is
    refuted: post-norm keeps the gradient where branches begin small.

    ## Parameters

    - depth: greatest number of layers
    - width: features
    - branch: factor on the weights of every branch
    - nets: nets of each kind and depth
    """
    if width % HEADS:
        raise ValueError(f"a width of {width} does not divide among {HEADS} heads")
    depths = [max(2, round(share * depth)) for share in SHARES]
    found = {
        name: [[_measured(n, width, first, branch) for _ in range(nets)] for n in depths]
        for name, first in (("post-norm", False), ("pre-norm", True))
    }
    profiles = {name: torch.stack([profile for profile, _ in runs[-1]]) for name, runs in found.items()}
    lost = {name: profile[:, depth // 2].tolist() for name, profile in profiles.items()}
    last = {name: torch.tensor([[end for _, end in runs] for runs in of_depth]).T for name, of_depth in found.items()}
    slopes = {
        name: linear_fit(ends, torch.tensor([math.log10(n) for n in depths])).tolist() for name, ends in last.items()
    }
    layers = tuple(float(number) for number in range(depth + 1))
    x = tuple(map(float, depths))
    return Outcome(
        readings=(
            mean_reading(
                f"post-norm, gradient {depth - depth // 2} layers from the output",
                lost["post-norm"],
                unit="decades",
                greatest=-0.1,
            ),
            mean_reading("pre-norm, the same", lost["pre-norm"], unit="decades", least=-0.1),
            mean_reading(
                "post-norm, last layer: slope of log gradient over log depth",
                slopes["post-norm"],
                least=-0.2,
                greatest=0.2,
            ),
            mean_reading("pre-norm, the same", slopes["pre-norm"], least=-0.7, greatest=-0.3),
        ),
        figures=(
            Panel(
                f"Gradient on its way to the input, {depth} layers",
                "layers from the output",
                "decades",
                tuple(Curve(name, layers, tuple(one.mean(0).flip(0).tolist())) for name, one in profiles.items()),
            ),
            Panel(
                "Gradient of the last layer's feed-forward matrix",
                "layers",
                "norm",
                tuple(Curve(name, x, tuple((10 ** ends.mean(0)).tolist())) for name, ends in last.items()),
                x_log=True,
                y_log=True,
            ),
        ),
        seen=f"The last layer's gradient goes as depth to the power {number(sum(slopes['post-norm']) / nets)} in post-norm and "
        f"{number(sum(slopes['pre-norm']) / nets)} in pre-norm.",
    )


def _measured(depth: int, width: int, first: bool, branch: float) -> tuple[torch.Tensor, float]:
    """log10 gradient at each layer's input relative to the output's (depth + 1,), and log10 of the last matrix's."""
    layers = [
        nn.TransformerEncoderLayer(
            width, HEADS, 4 * width, dropout=0.0, norm_first=first, batch_first=True, dtype=torch.float64
        )
        for _ in range(depth)
    ]
    for parameter in (one for layer in layers for one in layer.parameters() if one.dim() > 1):
        nn.init.xavier_uniform_(parameter, gain=branch)
    state = torch.randn(BATCH, POSITIONS, width, dtype=torch.float64, requires_grad=True)
    states = [state]
    for layer in layers:
        state = layer(state)
        states.append(state)
    # A pre-norm stack ends in a norm of its own; a post-norm one already has it.
    output = nn.functional.layer_norm(state, (width,)) if first else state
    matrix = layers[-1].linear2.weight
    *found, end = torch.autograd.grad(output, [*states, matrix], torch.randn_like(output))
    norms = torch.stack([one.norm() for one in found]).log10()
    return norms - norms[-1], float(end.norm().log10())
