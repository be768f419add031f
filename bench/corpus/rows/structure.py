"""What each kind of architecture decides for itself: normalisation, skips, recurrences, attention, pools, codes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bench.corpus.row import Row
from bench.corpus.rows.bases import base, of
from bench.corpus.rows.depth import EXPLODED, VANISHED

FORGOTTEN, GROWN = ("SG104",), ("SG202", "SG201", "SG204", "SG203")
SATURATED_LOOK = ("SG305",)


def rows() -> Iterator[Row]:
    for part in (normalised, residual, convolutional, mixers, recurrent, loops, transformers, others):
        yield from part()


def normalised() -> Iterator[Row]:
    for number, (norm, depth) in enumerate(product(("batch", "layer", "rms"), (6, 16, 30))):
        start = of("mlp")[(2 * number) % 9]
        for activation in ("sigmoid", "relu", "tanh")[number % 2 :]:
            yield start.but(parameters={"norm": norm, "depth": depth, "activation": activation})


def residual() -> Iterator[Row]:
    for number, (depth, scale) in enumerate(product((8, 20, 40), (1.0, 0.3, 0.05))):
        start = of("residual")[number % 5]
        yield start.but(parameters={"depth": depth, "scale": scale, "span": 1 + number % 3})
        yield start.but(parameters={"depth": depth, "scale": scale, "activation": "sigmoid" if number % 2 else "tanh"})
    for number, (place, norm) in enumerate(product(("pre", "post"), ("batch", "layer"))):
        for depth in (12, 36):
            yield of("residual")[(number + depth) % 5].but(parameters={"depth": depth, "place": place, "norm": norm})
    for start in of("residual"):
        deep = start.but(parameters={"depth": 20})
        yield deep
        yield deep.broken(*EXPLODED, parameters={"init": "kaiming_normal_", "gain": 2.0})
        yield deep.but(parameters={"zero": True})


def convolutional() -> Iterator[Row]:
    for start in of("conv"):
        for activation in ("relu", "tanh", "sigmoid", "gelu"):
            for depth in (2, 6, 10, 16) if activation != "sigmoid" else (2, 4, 6):
                yield start.but(parameters={"depth": depth, "activation": activation})
    start = base("conv", "shapes").but(parameters={"depth": 14})
    for change in ({"norm": "batch"}, {"norm": "layer"}, {"skip": True}, {"skip": True, "scale": 0.2}):
        yield start.but(parameters=change)
    for init, gain in (("kaiming_normal_", 1.0), ("orthogonal_", 1.4), ("orthogonal_", 3.0), ("normal_", 0.01)):
        yield start.but(parameters={"init": init, "gain": gain})


def mixers() -> Iterator[Row]:
    for start in of("mixer"):
        for depth in (4, 10):
            yield start.but(parameters={"depth": depth})
            bare = start.but(parameters={"depth": depth, "norm": "none"})
            yield bare
            yield bare.broken(*VANISHED, parameters={"skip": False})
        yield start.but(parameters={"activation": "sigmoid"})
        yield start.but(parameters={"activation": "tanh", "depth": 6, "norm": "none"})


def recurrent() -> Iterator[Row]:
    right = {"rnn": {"init": "orthogonal_"}, "lstm": {"remember": 60.0}, "gru": {"remember": 60.0}}
    for task, length in (("recall", 30), ("recall-60", 60), ("recall-100", 100)):
        start = base("recurrent", task)
        for cell, change in right.items():
            if cell != "rnn" and length == 100:
                continue
            change = {**change, **({"remember": float(length)} if "remember" in change else {})}
            well = start.but(parameters={"init": "default", "remember": 0.0, "cell": cell, **change}, rate=3e-3)
            yield well
            yield well.broken(*FORGOTTEN, line="self.rnn", parameters={"init": "default", "remember": 0.0})
        for gain in (0.8, 1.3) if length == 100 else (0.8, 0.95, 1.05, 1.3):
            yield start.but(parameters={"cell": "rnn", "init": "orthogonal_", "gain": gain, "remember": 0.0}, rate=1e-3)
        ramp = start.but(parameters={"cell": "rnn-relu", "init": "eye_", "gain": 1.0, "remember": 0.0}, rate=1e-3)
        yield ramp
        yield ramp.broken(*FORGOTTEN, line="self.rnn", parameters={"gain": 0.5})
        yield ramp.broken(*GROWN, line="self.rnn", parameters={"gain": 2.0})
    for task in ("rows", "adding", "copying", "characters"):
        start = base("recurrent", task)
        for cell in ("rnn", "gru"):
            yield start.but(parameters={"cell": cell})
        yield start.but(parameters={"layers": 3})
        yield start.but(parameters={"cell": "rnn", "init": "orthogonal_", "gain": 3.0})


def loops() -> Iterator[Row]:
    for start in of("loop"):
        for activation in ("sigmoid", "relu", "sin"):
            yield start.but(parameters={"activation": activation})
        for gain in (0.3, 0.8, 1.5, 3.0):
            yield start.but(parameters={"gain": gain})
        yield start.but(parameters={"init": "default"})
        yield start.but(parameters={"kept": 0.9, "gain": 0.3})


def transformers() -> Iterator[Row]:
    for start in (*of("encoder"), *of("decoder"), *of("translator")):
        for place, norm in (("pre", "layer"), ("post", "layer"), ("pre", "none")):
            bare = start.but(parameters={"depth": 4, "place": place, "norm": norm})
            yield bare
        # Where the place of the normalisation is not told it is "pre", which says nothing without one: the last is the twin.
        yield start.but(
            parameters={"depth": 4, "skip": False, "norm": "none"}, cause=("SG101", "SG105", "SG301"), twin=bare.key
        )
        for sharp in (30.0, 1000.0):
            yield start.broken(*SATURATED_LOOK, line="torch.softmax(logits, dim=-1)", parameters={"sharp": sharp})
        yield start.but(parameters={"init": "normal_", "gain": 0.02})
        yield start.but(parameters={"init": "normal_", "gain": 1.0})
    for depth, place in product((8, 20), ("pre", "post")):
        yield base("encoder", "rows").but(parameters={"depth": depth, "place": place}, steps=0.6)


def others() -> Iterator[Row]:
    for start in of("autoencoder"):
        for depth in (3, 5, 9, 14):
            yield start.but(parameters={"depth": depth})
        for activation in ("sigmoid", "tanh"):
            yield start.but(parameters={"activation": activation, "depth": 3})
            yield start.but(parameters={"activation": activation, "depth": 6})
        yield start.but(parameters={"norm": "batch", "depth": 6})
    vae = base("vae", "latent")
    for beta in (0.0, 1.0, 10.0, 1000.0):
        yield vae.but(parameters={"beta": beta})
    for depth in (4, 8, 14):
        yield vae.but(parameters={"depth": depth})
    for start in of("gan"):
        saturating = start.but(parameters={"saturating": True})
        yield saturating
        yield saturating.broken("SG102", "SG101", "SG203", parameters={"sharp": 100.0})
        yield start.but(parameters={"depth": 6})
        yield start.but(parameters={"activation": "leaky_relu"})
    graph = base("graph", "blocks")
    for depth, kept in product((4, 8, 16, 32), (0.0, 0.3)):
        yield graph.but(parameters={"depth": depth, "kept": kept})
    for activation in ("sigmoid", "tanh", "elu"):
        yield graph.but(parameters={"activation": activation})
    for start in of("deepset"):
        for pool in ("mean", "sum", "max"):
            for depth in (2, 5):
                yield start.but(parameters={"pool": pool, "depth": depth})
        yield start.but(parameters={"activation": "sigmoid"})
        yield start.but(parameters={"depth": 10})
    bag = base("bag", "documents")
    for sparse_rate in (1e-3, 0.1, 1.0, 10.0, 100.0):
        yield bag.but(parameters={"sparse": True}, optimizer="sgd", rate=sparse_rate)
    for sparse_rate in (1e-4, 0.01, 0.1, 10.0):
        yield bag.but(parameters={"sparse": True}, optimizer="adagrad", rate=sparse_rate)
    for std in (1e-4, 0.02, 10.0, 1000.0):
        yield bag.but(parameters={"std": std})
    for depth in (4, 8, 14):
        yield bag.but(parameters={"depth": depth})
    unet = base("unet", "discs")
    for depth, across in product((2, 6, 12), (True, False)):
        yield unet.but(parameters={"depth": depth, "across": across})
    for activation in ("sigmoid", "tanh"):
        yield unet.but(parameters={"activation": activation, "depth": 3})
    yield unet.but(parameters={"norm": "batch", "depth": 6, "across": False})
