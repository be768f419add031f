"""Initialisation and batch norm: pre-activations ~ N(0, 1), where sigmoid and tanh keep their derivatives."""

from __future__ import annotations

import torch

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.experiments.squash import derivative, greatest
from steadygrad.lab.nets import Passed, Stack, gradients
from steadygrad.numerals import percent
from steadygrad.theory.activations import find
from steadygrad.theory.meanfield import derivative_rms


@experiment(
    quick={"nets": 6},
    refuted={"norm": "none"},
    limits={
        "depth": (2, 100),
        "width": (4, 256),
        "batch": (4, 4096),
        "gain": (0.01, 100.0),
        "scale": (0.01, 100.0),
        "nets": (2, 200),
    },
    choices={"norm": ("batch", "none"), "activation": ("sigmoid", "tanh")},
    order=60,
)
def unit_outputs(
    *,
    activation: str = "sigmoid",
    norm: str = "batch",
    gain: float = 6.0,
    scale: float = 4.0,
    depth: int = 10,
    width: int = 64,
    batch: int = 256,
    nets: int = 40,
) -> Outcome:
    """Batch norm holds what goes into every layer's activation at N(0, 1), where sigmoid and tanh keep their derivative.

    ## Claim

    Weights of a suitable scale and batch normalisation keep each layer's pre-activations at mean 0 and variance 1, whatever
    the scale of the input and of the weights; there sigmoid and tanh work near the middle, where their derivative is
    greatest, instead of in their flat parts.

    ## Source

    Ioffe and Szegedy 2015 (arXiv:1502.03167), section 3 and algorithm 1; LeCun et al. 1998, "Efficient BackProp",
    sections 4.4 and 4.6;
    Glorot and Bengio 2010.

    ## Measurement

    Random nets whose weights and inputs are far too large. Per layer: deviation of the pre-activations, their excess
    kurtosis (0 for a normal distribution), and the rms derivative ÷ that under N(0, 1), which quadrature gives.

    ## Refuted by

    Pre-activations of another scale or shape in any layer, or a derivative far from what N(0, 1) gives. Without the norm,
    at these scales, it is refuted.

    ## Parameters

    - activation: the function
    - norm: batch norm before every activation, or none
    - gain: σ_w
    - scale: standard deviation of the input
    - depth: layers
    - width: units of a layer
    - batch: samples over which the norm takes mean and variance
    - nets: random nets
    """
    phi = find(activation)
    assert phi is not None
    expected = derivative_rms(phi)
    with_norm = norm == "batch"
    asked = [
        _layers(
            gradients(Stack(depth, width, activation, gain, norm=with_norm), 1, batch=batch, scale=scale), activation
        )
        for _ in range(nets)
    ]
    bare = [
        _layers(gradients(Stack(depth, width, activation, gain), 1, batch=batch, scale=scale), activation)
        for _ in range(nets)
    ]
    deviation, kurtosis, slope = (torch.tensor([one[kind] for one in asked]) for kind in range(3))
    worst = (slope / expected).mean(0).argmin()
    layers = tuple(float(number) for number in range(1, depth + 1))
    return Outcome(
        readings=(
            mean_reading(
                f"deviation of the pre-activations, layer {depth}", deviation[:, -1].tolist(), least=0.9, greatest=1.1
            ),
            mean_reading("excess kurtosis, mean of the layers", kurtosis.mean(1).tolist(), least=-0.5, greatest=0.5),
            mean_reading(
                f"rms derivative ÷ that under N(0, 1), worst layer ({int(worst) + 1})",
                (slope[:, worst] / expected).tolist(),
                least=0.95,
                greatest=1.05,
            ),
        ),
        figures=(
            Panel(
                f"rms derivative of {activation} ÷ its greatest",
                "layer",
                "ratio",
                (
                    Curve("batch norm" if with_norm else "no norm", layers, _ratio(asked, activation)),
                    *([Curve("no norm", layers, _ratio(bare, activation))] if with_norm else []),
                    Curve("under N(0, 1)", layers, (expected / greatest(activation),) * depth, style="dashed"),
                ),
                y_range=(0.0, 1.0),
            ),
            Panel(
                "Deviation of the pre-activations",
                "layer",
                "deviation",
                (
                    Curve("batch norm" if with_norm else "no norm", layers, tuple(deviation.mean(0).tolist())),
                    *(
                        [Curve("no norm", layers, tuple(torch.tensor([one[0] for one in bare]).mean(0).tolist()))]
                        if with_norm
                        else []
                    ),
                ),
                y_log=True,
            ),
        ),
        seen=f"Without the norm the rms derivative in the first layer is {percent(_ratio(bare, activation)[0])} of the greatest; "
        f"with it, {percent(expected / greatest(activation))} by quadrature.",
    )


def _layers(passed: Passed, activation: str) -> tuple[list[float], list[float], list[float]]:
    """Deviation, excess kurtosis and rms derivative of each layer's pre-activations."""
    deviations, kurtoses, slopes = [], [], []
    for inputs in passed.inputs:
        centred = inputs - inputs.mean()
        variance = float(centred.square().mean())
        deviations.append(variance**0.5)
        kurtoses.append(float(centred.pow(4).mean()) / variance**2 - 3)
        slopes.append(float(derivative(activation, inputs).square().mean().sqrt()))
    return deviations, kurtoses, slopes


def _ratio(nets: list[tuple[list[float], list[float], list[float]]], activation: str) -> tuple[float, ...]:
    rms = torch.tensor([one[2] for one in nets]).mean(0) / greatest(activation)
    return tuple(rms.tolist())
