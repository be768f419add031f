"""What stands around the net: batch size, scale of the input, number format, loss, options of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from bench.corpus.row import Row, options
from bench.corpus.rows.bases import BASES, base, of

UNSCALED = ("SG304", "SG102", "SG204", "SG205", "SG105")
SEES_NUMBERS = {"mlp", "residual", "conv", "mixer", "encoder", "recurrent", "loop", "graph", "deepset", "unet"}


def rows() -> Iterator[Row]:
    for part in (batches, inputs, formats, losses, optimizers):
        yield from part()


def batches() -> Iterator[Row]:
    sizes = (1, 2, 8, 128, 512)
    for number, start in enumerate(BASES):
        if start.model not in ("graph", "gan"):
            yield start.but(batch=sizes[number % 5])
    for size in (2, 8):
        yield base("mlp", "digits").but(batch=size, parameters={"norm": "batch"})


def inputs() -> Iterator[Row]:
    for task in ("digits", "wine", "cancer"):
        for activation in ("relu", "sigmoid", "tanh"):
            scaled = base("mlp", task).but(parameters={"activation": activation})
            yield scaled
            yield scaled.broken(*UNSCALED, inputs=0.0)
            yield scaled.but(inputs=0.0, optimizer="sgd", rate=0.1)
    factors = (1e-6, 1e-3, 30.0, 1e3, 1e5)
    for number, start in enumerate(start for start in BASES if start.model in SEES_NUMBERS):
        if not dict(start.parameters).get("words"):
            yield start.broken(*UNSCALED, inputs=factors[number % 5])


def formats() -> Iterator[Row]:
    for number, start in enumerate(BASES):
        if start.model in ("recurrent", "gan", "bag") or number % 2:
            continue
        half = start.but(dtype="bfloat16")
        yield half
        yield half.broken("SG108", "SG106", rate=1e-5)
        if number % 4 == 0:
            yield half.but(optimizer="sgd", rate=0.1, optimizer_options=())


def losses() -> Iterator[Row]:
    for number, loss in enumerate(
        ("summed", "smoothed", "margin", "one-hot", "sigmoid-one-hot", "log-softmax-by-hand")
    ):
        for start in (base("mlp", "digits"), of("mlp")[1 + number % 3], base("conv", "shapes")):
            yield start.but(loss=loss)
        yield base("mlp", "digits").but(loss=loss, optimizer="sgd", rate=0.1)
    for loss in ("mse-summed", "l1", "huber"):
        for start in (base("mlp", "friedman"), base("residual", "friedman"), base("deepset", "extremes")):
            yield start.but(loss=loss)
            yield start.but(loss=loss, optimizer="sgd", rate=0.03)


def optimizers() -> Iterator[Row]:
    stuck = ("SG106",)
    for number, start in enumerate(BASES):
        if number % 3 == 0:
            yield start.broken(*stuck, optimizer_options=options(eps=1e3))
        elif number % 3 == 1:
            decaying = start.but(optimizer="adamw", optimizer_options=())
            yield decaying
            yield decaying.broken(*stuck, optimizer_options=options(weight_decay=1.0 / start.rate))
        else:
            plain = start.but(optimizer="sgd", rate=0.1, optimizer_options=())
            yield plain
            yield plain.broken("SG204", "SG105", "SG106", optimizer_options=options(weight_decay=5.0))
