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

OWN = {"loss": "own"}

NEWER: tuple[Row, ...] = (
    *(Row("pinn", task, rate=1e-2, **OWN) for task in ("oscillator", "heat")),
    Row("siren", "signal", rate=1e-3),
    Row("siren", "picture", options(frequency=10.0), rate=1e-3),
    Row("siren", "heat", options(frequency=3.0), rate=3e-3),
    *(Row("mlp", task, options(activation="tanh"), rate=1e-2) for task in ("heat", "oscillator")),
    Row("triplet", "triplets", rate=3e-3),
    Row("siamese", "pairs", rate=3e-3),
    Row("contrast", "views", options(sharp=2.0, code=16, depth=1, width=64), rate=3e-3),
    Row("autoencoder", "denoising", options(code=16), rate=3e-3),
    Row("mlp", "distilled", rate=3e-3),
    Row("residual", "distilled", rate=3e-3),
    Row("unet", "blots", rate=1e-2),
    Row("sage", "blocks", rate=1e-2),
    Row("gat", "blocks", rate=1e-2),
    Row("gan", "bell", options(depth=2), rate=3e-3, optimizer_options=BETAS, batch=64),
    *(Row("vae", task, rate=3e-3) for task in ("cancer-latent", "wine-latent")),
    Row("autoencoder", "wine-itself", options(width=32, code=6), rate=3e-3),
    Row("qnet", "transitions", rate=3e-3, **OWN),
    *(Row(model, "prices", options(last="scaled", amount=1e5), rate=3e-3) for model in ("mlp", "residual")),
    *(Row("tagger", task, rate=3e-3) for task in ("tags", "odds")),
    *(Row("tabular", task, rate=3e-3) for task in ("cancer", "friedman", "wine", "digits")),
    *(Row("residual", task, rate=rate) for task, rate in (("cancer", 1e-3), ("moons", 3e-3), ("parity", 3e-3))),
    *(Row("experts", task, rate=rate) for task, rate in (("blobs", 3e-3), ("friedman", 1e-2), ("moons", 1e-2))),
    Row("experts", "digits", rate=3e-3),
    *(Row("squeeze", task, rate=1e-2) for task in ("images", "shapes")),
    *(Row("inception", task, rate=1e-2) for task in ("images", "shapes")),
    *(Row("vit", task, options(patch=patch), rate=3e-3) for task, patch in (("images", 4), ("shapes", 5))),
    *(Row(model, "spreads", options(steps=12), rate=3e-3) for model in ("encoder", "mixer")),
    *(Row(m, "extremes", options(steps=10), rate=rate) for m, rate in (("encoder", 3e-3), ("mixer", 1e-2))),
    Row("recurrent", "spreads", rate=3e-3),
    Row("encoder", "waves", options(steps=16, depth=1), rate=1e-2),
    Row("recurrent", "waves", options(cell="gru"), rate=1e-2),
    Row("mixer", "waves", options(steps=16), rate=3e-3),
    Row("loop", "waves", rate=3e-3),
    *(Row("tcn", task, rate=1e-2) for task in ("waves", "rows")),
    Row("tcn", "adding", options(depth=5), rate=1e-2),
    Row("translator", "sorting", rate=3e-3),
    Row("decoder", "letters", options(steps=8), rate=1e-2),
    Row("recurrent", "letters", WORDS, rate=1e-2),
)
"""As above, for ``rows.newer``: what stands in the first list decides how the older sweeps go round, so it stays as it is."""


def base(model: str, task: str) -> Row:
    """The set-up of a family that is meant to train."""
    return next(row for row in (*BASES, *NEWER) if (row.model, row.task) == (model, task))


def of(model: str) -> tuple[Row, ...]:
    """The bases of all families of one kind of architecture."""
    return tuple(row for row in BASES if row.model == model)


def newer(model: str) -> tuple[Row, ...]:
    """The same, of the newer families."""
    return tuple(row for row in NEWER if row.model == model)
