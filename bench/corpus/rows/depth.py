"""Plain nets by activation, depth, initialiser and gain, on both sides of the edge of what trains."""

from __future__ import annotations

from collections.abc import Iterator

from bench.corpus.models.parts import ACTIVATIONS
from bench.corpus.row import Row
from bench.corpus.rows.bases import base, of

VANISHED = ("SG101", "SG105", "SG301", "SG102")
EXPLODED = ("SG201", "SG205", "SG301", "SG204", "SG203")

SMALL_SLOPE = ("sigmoid", "hardsigmoid", "softplus", "softsign")
"""Activations that lose the gradient within a few layers."""
SHALLOW, MIDDLE = (2, 4, 5, 7), (6, 11, 16, 24)
"""Depths about the edge for those, and for the rest, at default initialisation."""

INITIALISERS: tuple[tuple[str, float], ...] = (
    ("uniform_", 0.05),
    ("uniform_", 0.3),
    ("normal_", 0.01),
    ("normal_", 0.2),
    ("normal_", 1.0),
    ("trunc_normal_", 0.02),
    ("trunc_normal_", 0.25),
    ("constant_", 0.1),
    ("ones_", 1.0),
    ("zeros_", 1.0),
    ("eye_", 1.0),
    ("xavier_uniform_", 1.0),
    ("xavier_normal_", 1.0),
    ("kaiming_uniform_", 1.0),
    ("kaiming_normal_", 1.0),
    ("orthogonal_", 1.0),
    ("sparse_", 0.25),
)


def rows() -> Iterator[Row]:
    yield from activations()
    yield from initialisers()
    yield from gains()
    yield from deepest()


def activations() -> Iterator[Row]:
    """Every activation in a quarter of the plain families, at four depths."""
    for number, start in enumerate(of("mlp")):
        for place, activation in enumerate(ACTIVATIONS):
            if (number + place) % 4:
                continue
            depths = SHALLOW if activation in SMALL_SLOPE else MIDDLE
            shallow = start.but(parameters={"activation": activation, "depth": depths[0]})
            yield shallow
            for depth in depths[1:]:
                yield shallow.broken(*VANISHED, parameters={"depth": depth})


def initialisers() -> Iterator[Row]:
    """Every initialiser at depth 8, in two of the plain families each, under a squashing and a rectified activation."""
    families = of("mlp")
    for number, (init, gain) in enumerate(INITIALISERS):
        for place, activation in ((number, "tanh"), (number + 4, "relu")):
            start = families[place % len(families)]
            yield start.but(parameters={"depth": 8, "activation": activation, "init": init, "gain": gain})
    for activation in ("relu", "tanh"):
        for gain in (0.3, 1.0, 3.0):
            yield base("conv", "images").but(
                parameters={"depth": 4, "activation": activation, "init": "dirac_", "gain": gain}
            )


def gains() -> Iterator[Row]:
    """Orthogonal weights times a gain, twenty layers: the product decides."""
    edge = {"tanh": 1.0, "relu": 1.414, "gelu": 1.5, "elu": 1.1, "selu": 1.0, "silu": 1.8}
    for number, (activation, right) in enumerate(edge.items()):
        start = of("mlp")[(2 * number + 1) % 9].but(
            parameters={"depth": 20, "activation": activation, "init": "orthogonal_", "gain": right}, rate=1e-3
        )
        yield start
        for factor in (0.5, 0.7, 0.85):
            yield start.broken(*VANISHED, parameters={"gain": round(right * factor, 3)})
        for factor in (1.3, 2.0, 4.0):
            yield start.broken(*EXPLODED, parameters={"gain": round(right * factor, 3)})


def deepest() -> Iterator[Row]:
    """Fifty to a thousand layers: lost as they come, saved by orthogonal weights at the edge or by a zero-scaled branch."""
    for number, depth in enumerate((50, 100, 300)):
        start = of("mlp")[(4 * number) % 9]
        share = 1.0 if depth < 100 else 0.5 if depth < 300 else 0.35
        right = start.but(
            parameters={"depth": depth, "activation": "tanh", "init": "orthogonal_", "gain": 1.0},
            rate=0.02 / depth,
            steps=share,
        )
        yield right
        yield right.broken(*VANISHED, parameters={"init": "default"})
        yield right.broken(*VANISHED, parameters={"activation": "relu"})
    for model, task in (("residual", "wine"), ("residual", "blobs")):
        for depth in (100, 300):
            start = base(model, task).but(
                parameters={"depth": depth, "span": 1, "zero": True, "norm": "layer"}, steps=0.4, rate=3e-4
            )
            yield start
            yield start.but(parameters={"zero": False, "norm": "none"})
    start = base("residual", "wine").but(
        parameters={"depth": 1000, "span": 1, "zero": True, "width": 16}, steps=0.2, rate=1e-4
    )
    yield start
    yield start.but(parameters={"zero": False})
    plain = base("mlp", "wine").but(
        parameters={"depth": 1000, "width": 16, "activation": "tanh", "init": "orthogonal_"}, steps=0.2, rate=1e-5
    )
    yield plain
    yield plain.broken(*VANISHED, parameters={"activation": "sigmoid"})
