"""One set-up of every family, meant to train: where the sweeps and the breakages start from."""

from __future__ import annotations

from bench.corpus.row import Row, options

WORDS = options(words=True, each=True)
TANH, BETAS = options(activation="tanh"), options(betas=(0.5, 0.9))
"""A pair that is trained at once is kept from running away by a bounded activation and little momentum."""

BASES: tuple[Row, ...] = (
    *(Row("mlp", task) for task in ("digits", "wine", "cancer", "blobs", "diabetes")),
    *(Row("mlp", task, rate=3e-3) for task in ("circles", "moons", "parity", "friedman")),
    *(Row("residual", task) for task in ("digits", "wine", "blobs")),
    *(Row("residual", task, rate=3e-3) for task in ("circles", "friedman")),
    *(Row("conv", task, rate=3e-3) for task in ("images", "shapes")),
    Row("mixer", "rows", rate=3e-3),
    Row("mixer", "recall", options(steps=30), rate=3e-3),
    Row("encoder", "rows", rate=3e-3),
    Row("encoder", "recall", options(steps=30), rate=3e-3),
    Row("encoder", "adding", options(steps=20), rate=3e-3),
    Row("recurrent", "rows", rate=3e-3),
    Row("recurrent", "recall", options(cell="lstm", remember=30.0), rate=3e-3),
    Row("recurrent", "recall-60", options(cell="rnn", init="orthogonal_"), rate=3e-3),
    Row("recurrent", "recall-100", options(cell="rnn", init="orthogonal_"), rate=1e-3),
    Row("recurrent", "adding", options(cell="gru"), rate=1e-2),
    Row("recurrent", "copying", WORDS, rate=1e-2),
    Row("recurrent", "characters", WORDS, rate=1e-2),
    Row("loop", "rows", rate=3e-3),
    Row("loop", "recall", rate=1e-3),
    Row("loop", "adding", options(activation="tanh"), rate=3e-3),
    Row("decoder", "copying", options(steps=12), rate=3e-3),
    Row("decoder", "characters", rate=1e-2),
    Row("translator", "reversal", rate=3e-3),
    *(Row("autoencoder", task, rate=3e-3) for task in ("reconstruction", "cancer-itself")),
    Row("vae", "latent", rate=3e-3),
    *(Row("gan", task, TANH, rate=1e-3, optimizer_options=BETAS, batch=64) for task in ("ring", "clusters")),
    Row("graph", "blocks", rate=1e-2),
    Row("deepset", "spreads", rate=3e-3),
    Row("deepset", "extremes", options(pool="max"), rate=3e-3),
    Row("bag", "documents", options(sparse=False), rate=1e-2),
    Row("unet", "discs", rate=3e-3),
)


def base(model: str, task: str) -> Row:
    """The set-up of a family that is meant to train."""
    return next(row for row in BASES if (row.model, row.task) == (model, task))


def of(model: str) -> tuple[Row, ...]:
    """The bases of all families of one kind of architecture."""
    return tuple(row for row in BASES if row.model == model)
