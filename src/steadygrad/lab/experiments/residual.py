"""An addition hands the gradient on unchanged: the identity's share, and spans of 1, 2 and more layers."""

from __future__ import annotations

import math

from steadygrad.lab import Arrow, Box, Curve, Diagram, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.nets import Stack, gradients
from steadygrad.numerals import number
from steadygrad.theory.table import DEFAULT_WEIGHT_STD

SPANS = (1, 2, 4)


@experiment(
    quick={"nets": 30},
    refuted={"skip": 0.5},
    limits={"depth": (8, 200), "width": (4, 256), "nets": (2, 2000), "skip": (0.0, 2.0), "span": (1, 50)},
    choices={"activation": ("tanh", "sigmoid", "relu", "gelu")},
    order=70,
)
def residual(
    *, depth: int = 40, span: int = 2, skip: float = 1.0, activation: str = "tanh", width: int = 64, nets: int = 300
) -> Outcome:
    """An addition hands the gradient on unchanged, so a residual net keeps it at any depth and whatever the span.

    ## Claim

    h + f(h) has the derivative 1 + f′(h). The 1 hands the gradient on unchanged past any block, so one term of it reaches
    the input undiminished, whatever the layers in the blocks do: with spans of 1, 2 or more layers.

    ## Source

    He et al. 2016a (arXiv:1512.03385), section 3.2; He et al. 2016b (arXiv:1603.05027), equations 4 and 5 (a skip of 1) and
    equations 6 to 8 (a skip λ ≠ 1 multiplies the term by λ once a block).

    ## Measurement

    Residual nets with branches × 1 ÷ √blocks and torch's default scale of weights, in float64. The gradient at the input,
    projected on that at the output, is the identity's share: branches add terms in random directions, which cancel in the
    mean over nets. Beside it the norms, and those of a plain net of the same layers.

    ## Refuted by

    A share far from 1, a residual net that loses a decade, or a plain one that loses none. With a skip of 0.5 it is
    refuted: the share is 0.5 to the power of the blocks.

    ## Parameters

    - depth: layers; a multiple of the span and of 4
    - span: layers that a skip goes around
    - skip: λ, the factor on the skip
    - activation: the function
    - width: units of a layer
    - nets: random nets
    """
    if depth % span or depth % max(SPANS):
        raise ValueError(f"a depth of {depth} is no multiple of the span {span} and of {max(SPANS)}")
    blocks = depth // span
    asked = gradients(_stack(depth, width, activation, span, skip), nets)
    plain = gradients(Stack(depth, width, activation, DEFAULT_WEIGHT_STD), nets)
    through = float(asked.through.mean())
    share = asked.projection[:, 0].tolist()
    spans = {one: gradients(_stack(depth, width, activation, one, skip), nets).decades for one in SPANS}
    return Outcome(
        readings=(
            mean_reading(f"identity's share of the gradient behind {blocks} blocks", share, least=0.8, greatest=1.25),
            mean_reading(
                "residual net, gradient at the input",
                asked.decades[:, 0].tolist(),
                unit="decades",
                least=-1.0,
                greatest=1.0,
            ),
            mean_reading("plain net of the same layers", plain.decades[:, 0].tolist(), unit="decades", greatest=-3.0),
        ),
        figures=(
            _block(span, skip, through, activation),
            Panel(
                "Gradient on its way to the input",
                "layers from the output",
                "decades",
                (
                    *(
                        Curve(
                            f"span {one}",
                            tuple(float(one * number) for number in range(depth // one + 1)),
                            tuple(decades.mean(0).flip(0).tolist()),
                        )
                        for one, decades in spans.items()
                    ),
                    Curve("plain", tuple(map(float, range(depth + 1))), tuple(plain.decades.mean(0).flip(0).tolist())),
                ),
            ),
            Panel(
                "Identity's share of the gradient",
                "blocks from the output",
                "share",
                (
                    Curve(
                        "measured",
                        tuple(map(float, range(blocks + 1))),
                        tuple(asked.projection.mean(0).flip(0).tolist()),
                    ),
                    Curve(
                        "λ to the power of the blocks",
                        tuple(map(float, range(blocks + 1))),
                        tuple(skip**number for number in range(blocks + 1)),
                        style="dashed",
                    ),
                ),
                y_range=(0.0, 1.2) if skip <= 1 else None,
            ),
        ),
        seen=f"In one block the skip hands on {skip:g} × the gradient, the branch adds {number(through)} of its norm.",
    )


def _stack(depth: int, width: int, activation: str, span: int, skip: float) -> Stack:
    return Stack(
        depth, width, activation, DEFAULT_WEIGHT_STD, skip=skip, branch=1 / math.sqrt(depth // span), span=span
    )


def _block(span: int, skip: float, through: float, activation: str) -> Diagram:
    """The block with what was measured on its arrows."""
    layers = "layer" if span == 1 else f"{span} layers"
    sign = "identity" if skip == 1 else f"× {skip:g}"
    return Diagram(
        "One block: what the gradient meets on its way back",
        boxes=(
            Box("h", 0, 0, "label"),
            Box(f"{layers}\n({activation})", 3, 0),
            Box("+", 6, 0, "sum"),
            Box("h + f(h)", 8.2, 0, "label"),
            Box(f"{sign}: gradient × {skip:g}", 3, 1.75, "label"),
            Box(f"branch: gradient × {number(through)}", 3, -1.1, "label"),
        ),
        arrows=(
            Arrow(((0.4, 0), (1.85, 0))),
            Arrow(((4.15, 0), (5.6, 0))),
            Arrow(((6.4, 0), (7.3, 0))),
            Arrow(((0.9, 0), (0.9, 1.4), (6, 1.4), (6, 0.42)), strong=True),
        ),
        text="\n".join(
            (
                f"        ┌──────── {f'{sign}: gradient × {skip:g}':^28} ───────┐",
                "        │                                             ▼",
                f"  h ────┴───▶ [ {f'{layers} ({activation})':^22} ] ──────────▶ (+) ────▶ h + f(h)",
                f"               {f'branch: gradient × {number(through)}':^26}",
            )
        ),
        alt=f"Block diagram: h goes through {layers} of {activation} and, on a second way around them ({sign}), to an addition; "
        f"on the way back the skip hands on {skip:g} times the gradient, the branch {number(through)} times.",
    )
