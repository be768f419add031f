"""The two factors of a layer's gain, apart: the activation's slope and the weights' scale; the critical line."""

from __future__ import annotations

import math

import numpy as np

from steadygrad.lab import Curve, Outcome, Panel, Reading, experiment, mean_reading
from steadygrad.lab.intervals import mean_interval
from steadygrad.lab.nets import Stack, gradients
from steadygrad.numerals import number
from steadygrad.theory.activations import Activation, find
from steadygrad.theory.meanfield import critical_weight_std, expected_decades

RATIOS = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
"""σ_w that are measured, as multiples of the critical one."""

BIASES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7)
"""σ_b at which the critical line is drawn."""


@experiment(
    quick={"nets": 40},
    refuted={"width": 2},
    limits={"depth": (4, 200), "width": (1, 256), "nets": (4, 5000)},
    choices={"activation": ("tanh", "relu", "elu", "gelu", "linear")},
    order=40,
)
def products(*, activation: str = "tanh", depth: int = 20, width: int = 100, nets: int = 200) -> Outcome:
    """A layer's gain is the weights' scale times the activation's slope; below the critical line it vanishes, above it explodes.

    ## Claim

    In a wide layer the gradient's square is multiplied by χ = σ_w² E[φ′²]: the weights' scale and the activation's slope
    are two causes of one product. Gradients vanish where χ < 1 and explode where χ > 1; the weights' scale at which χ = 1
    is the critical line.

    ## Source

    Poole et al. 2016 (arXiv:1606.05340), equation 8; Schoenholz et al. 2017 (arXiv:1611.01232), figure 1 and section 3.

    ## Measurement

    Decades a layer through random nets at seven scales of the weights, by autograd in float64, beside ½ log10 χ by
    quadrature, which knows nothing of the nets; its two parts apart.

    ## Refuted by

    A sign that does not turn at the critical scale, or a gain far from the product of the two. With width 2 it is refuted:
    the law is one of wide layers.

    ## Parameters

    - activation: the function
    - depth: layers
    - width: units of a layer; the law is one of wide layers
    - nets: random nets at each scale
    """
    phi = find(activation)
    assert phi is not None
    critical = _critical(phi)
    scales = [ratio * critical for ratio in RATIOS]
    runs = [gradients(Stack(depth, width, activation, scale), nets).decades[:, 0] for scale in scales]
    samples = [(run / depth).tolist() for run in runs]
    expected = [expected_decades(phi, depth, scale, start=_start(phi, scale)) / depth for scale in scales]
    weights = [math.log10(scale) for scale in scales]
    slopes = [both - weight for both, weight in zip(expected, weights, strict=True)]
    middle = [mean_interval(one) for one in samples]
    gap, half = max((abs(value - law), half) for (value, half), law in zip(middle, expected, strict=True))
    below, above = RATIOS.index(0.7), RATIOS.index(1.5)
    x = tuple(scales)
    return Outcome(
        readings=(
            mean_reading(
                f"gain at 0.7 of the critical scale ({number(scales[below])})",
                samples[below],
                unit="decades a layer",
                greatest=0.0,
            ),
            mean_reading(
                f"gain at 1.5 of the critical scale ({number(scales[above])})",
                samples[above],
                unit="decades a layer",
                least=0.0,
            ),
            Reading(
                "greatest distance from ½ log10 χ over the scales",
                gap,
                max(0.0, gap - half),
                gap + half,
                "decades a layer",
                greatest=0.02,
            ),
        ),
        figures=(
            Panel(
                f"Gain of a layer of {activation}, by the scale of its weights",
                "σ_w",
                "decades a layer",
                (
                    Curve(
                        "measured",
                        x,
                        tuple(value for value, _ in middle),
                        tuple(value - half for value, half in middle),
                        tuple(value + half for value, half in middle),
                        "points",
                    ),
                    Curve("½ log10 χ", x, tuple(expected), style="dashed"),
                    Curve("the weights' part", x, tuple(weights)),
                    Curve("the activation's part", x, tuple(slopes)),
                ),
            ),
            _line(phi),
        ),
        seen=f"{activation}'s critical scale without biases is {number(critical)}.",
    )


def _critical(phi: Activation) -> float:
    """σ_w on the critical line without biases; He's scale where every variance is a fixed point or none is."""
    if phi.name in ("relu", "linear"):
        return math.sqrt(2.0) if phi.name == "relu" else 1.0
    found = critical_weight_std(phi, 0.0)
    # An activation that is smooth at 0 meets the line there, at 1 ÷ φ′(0), where the variance is 0.
    return found if found is not None else 1.0 / float(phi.derivative(np.zeros(1))[0])


def _start(phi: Activation, weight_std: float) -> float:
    """Variance of the first pre-activation for inputs ~ N(0, 1)."""
    return weight_std**2


def _line(phi: Activation) -> Panel:
    points = [(bias, critical_weight_std(phi, bias)) for bias in BIASES]
    found = [(bias, scale) for bias, scale in points if scale is not None]
    return Panel(
        "The critical line: gradients vanish to the left, explode to the right",
        "σ_w",
        "σ_b",
        (Curve("χ = 1", tuple(scale for _, scale in found), tuple(bias for bias, _ in found)),),
    )
