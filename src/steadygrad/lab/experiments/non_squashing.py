"""Activations that do not squash, beside sigmoid, each with weights of its own scale."""

from __future__ import annotations

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.nets import Stack, gradients
from steadygrad.numerals import number
from steadygrad.theory.activations import find
from steadygrad.theory.meanfield import derivative_rms
from steadygrad.theory.table import DEFAULT_WEIGHT_STD

NON_SQUASHING = ("relu", "leaky_relu", "elu", "selu", "gelu")
SQUASHING = ("sigmoid", "tanh")


@experiment(
    quick={"nets": 60},
    refuted={"init": "default"},
    limits={"depth": (5, 200), "width": (4, 256), "nets": (2, 1000), "kept": (0.1, 20.0)},
    choices={"init": ("own", "default")},
    order=50,
)
def non_squashing(
    *, depth: int = 30, width: int = 100, nets: int = 200, init: str = "own", kept: float = 1.5
) -> Outcome:
    """ReLU, Leaky ReLU, ELU and their kin keep the gradient where sigmoid loses it, if the weights have the right scale.

    ## Claim

    The derivative of ReLU and its kin is 1 for every positive input, so a gradient passes active units unchanged at any
    depth. With weights of variance 2 ÷ fan-in (or what each one's derivative asks for) what is lost at the inactive ones is
    made up for. Sigmoid loses most of the gradient at its own best scale too.

    ## Source

    Glorot, Bordes and Bengio 2011, section 3.1; He et al. 2015 (arXiv:1502.01852), equations 10 and 14; Clevert et al. 2016
    (arXiv:1511.07289); Klambauer et al. 2017 (arXiv:1706.02515); Hendrycks and Gimpel 2016 (arXiv:1606.08415).

    ## Measurement

    Random nets in float64, one gradient through each by autograd: log10 of its norm at the input ÷ at the output. Own
    scale: σ_w² = 1 ÷ E[φ′²] under N(0, 1), for a squashing one 1 ÷ φ′(0)².

    ## Refuted by

    A non-squashing activation that loses (or gains) more than a decade or two, or a sigmoid that does not. With torch's
    default scale, σ_w² = 1/3, it is refuted: the activation alone is not enough.

    ## Parameters

    - depth: layers
    - width: units of a layer
    - nets: random nets of each activation
    - init: scale of the weights: each activation's own, or torch's default
    - kept: decades within which a gradient counts as kept
    """
    runs = {
        name: gradients(Stack(depth, width, name, _scale(name, init)), nets).decades
        for name in (*NON_SQUASHING, *SQUASHING)
    }
    ends = {name: run[:, 0].tolist() for name, run in runs.items()}
    readings = [
        mean_reading(
            f"gradient through {depth} layers of {name}", ends[name], unit="decades", least=-kept, greatest=kept
        )
        for name in NON_SQUASHING
    ]
    lost = mean_reading(
        f"gradient through {depth} layers of sigmoid", ends["sigmoid"], unit="decades", greatest=-2 * kept
    )
    layers = tuple(float(number) for number in range(depth + 1))
    return Outcome(
        readings=(*readings, lost),
        figures=tuple(
            Panel(
                title,
                "layers from the output",
                "decades",
                tuple(Curve(name, layers, tuple(runs[name].mean(0).flip(0).tolist())) for name in names),
            )
            for title, names in (
                ("Gradient, activations that do not squash", NON_SQUASHING),
                ("Gradient, activations that squash", SQUASHING),
            )
        ),
        seen=f"tanh, which has slope 1 at 0, ends at {number(sum(ends['tanh']) / nets)} decades.",
    )


def _scale(name: str, init: str) -> float:
    activation = find(name)
    assert activation is not None
    steepness = activation.greatest_derivative if activation.squashing else derivative_rms(activation)
    return 1.0 / steepness if init == "own" else DEFAULT_WEIGHT_STD
