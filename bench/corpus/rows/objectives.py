"""Objectives of the newer families, what breaks each, and what it bears: equations, likeness, masks, codes, values, prices."""

from __future__ import annotations

from collections.abc import Iterator

from bench.corpus.row import Row
from bench.corpus.rows.bases import base, newer
from bench.corpus.rows.depth import EXPLODED
from bench.corpus.rows.rates import TOO_LARGE

NO_SLOPE = ("SG107", "SG109")
IGNORED = ("SG109", "SG105")
"""A code that carries nothing of its input."""


def rows() -> Iterator[Row]:
    for part in (equations, sines, alike, students, masks, generators, values, prices):
        yield from part()


def equations() -> Iterator[Row]:
    for start in newer("pinn"):
        # The second derivative of a piecewise linear net is zero: the equation asks nothing of it.
        yield start.broken(*NO_SLOPE, "SG102", parameters={"activation": "relu"})
        for activation in ("sin", "sigmoid", "softplus"):
            yield start.but(parameters={"activation": activation})
        for weight in (1e-3, 0.1, 30.0, 1e4):
            yield start.but(parameters={"equation": weight})


def sines() -> Iterator[Row]:
    for start in newer("siren"):
        for frequency in (0.1, 1.0, 30.0, 100.0, 1000.0):
            yield start.but(parameters={"frequency": frequency})
        yield start.broken("SG301", "SG205", "SG201", parameters={"init": "default"})
        for gain in (0.1, 3.0):
            yield start.but(parameters={"gain": gain})


def alike() -> Iterator[Row]:
    root = "torch.sqrt(F.relu(a - b).square().sum(-1))"
    for start in (*newer("triplet"), *newer("siamese")):
        yield start.broken("SG203", line=root, parameters={"square": True})
        for sharp in (1e-3, 0.1, 10.0, 300.0):
            yield start.but(parameters={"sharp": sharp})
        yield start.but(parameters={"code": 2})
        yield start.but(parameters={"norm": "batch"})
    start = base("contrast", "views")
    for sharp in (1e-4, 0.02, 0.2, 10.0, 200.0):
        yield start.but(parameters={"sharp": sharp})
    for batch in (2, 256):
        yield start.but(batch=batch)


def students() -> Iterator[Row]:
    for start in (base("mlp", "distilled"), base("residual", "distilled")):
        hot = start.but(loss="distillation-hot", optimizer="sgd", rate=0.1)
        yield start.but(loss="distillation-hot")
        yield start.but(loss="distillation-unscaled")
        yield hot
        yield hot.broken("SG106", "SG101", loss="distillation-unscaled")
        yield start.but(loss="mse")


def masks() -> Iterator[Row]:
    for start in (base("unet", "blots"), base("unet", "discs").but(loss="dice")):
        yield start
        yield start.broken(*NO_SLOPE, line="torch.round(torch.softmax(output, 1)[:, 1])", loss="dice-of-mask")
        for rate in (1e-4, 0.1):
            yield start.but(rate=rate)
        plain = start.but(optimizer="sgd", rate=0.1)
        yield plain
        yield plain.but(rate=3.0)
    yield base("unet", "blots").but(loss="cross-entropy")
    yield base("unet", "blots").but(parameters={"across": False})


def generators() -> Iterator[Row]:
    for start in newer("vae"):
        for beta in (0.0, 1.0, 3.0):
            yield start.but(parameters={"beta": beta})
        for beta in (30.0, 1000.0):
            yield start.broken(*IGNORED, parameters={"beta": beta})
        yield start.but(parameters={"code": 2})
    start = base("gan", "bell")
    saturating = start.but(parameters={"saturating": True})
    yield saturating
    for sharp in (10.0, 100.0):
        yield saturating.broken("SG102", "SG101", "SG203", parameters={"sharp": sharp})
    yield start.but(parameters={"sharp": 0.01})
    for task, code in (("denoising", 2), ("wine-itself", 1), ("denoising", 32), ("wine-itself", 10)):
        yield base("autoencoder", task).but(parameters={"code": code})


def values() -> Iterator[Row]:
    start = base("qnet", "transitions")
    for unit in (1e-4, 0.1, 10.0, 100.0, 1e4):
        yield start.but(parameters={"unit": unit})
    plain = start.but(optimizer="sgd", rate=0.03)
    yield plain
    yield plain.broken(*TOO_LARGE, *EXPLODED, parameters={"unit": 100.0})
    yield start.but(parameters={"whole": True})
    yield start.but(parameters={"discount": 0.0})
    yield start.broken(*TOO_LARGE, *EXPLODED, parameters={"discount": 1.5})
    for activation in ("tanh", "sigmoid"):
        yield start.but(parameters={"activation": activation})


def prices() -> Iterator[Row]:
    unscaled = {"last": "", "amount": 0.0}
    for start in (base("mlp", "prices"), base("residual", "prices")):
        yield start.broken("SG310", "SG106", "SG109", "SG204", parameters=unscaled)
        yield start.but(loss="l1")
        yield start.but(loss="l1").broken("SG310", "SG106", "SG109", parameters=unscaled)
        for amount in (1e3, 1e4, 1e6):
            yield start.but(parameters={"amount": amount})
        for rate in (1e-3, 3e-4):
            yield start.but(rate=rate)
            yield start.but(rate=rate).broken("SG310", "SG106", "SG109", parameters=unscaled)
        yield start.but(optimizer="sgd", rate=1e-11)
