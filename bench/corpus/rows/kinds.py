"""What the newer kinds of nets decide for themselves: depth of graphs, routes, gates, looks, cells."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bench.corpus.row import Row
from bench.corpus.rows.bases import base, newer
from bench.corpus.rows.depth import VANISHED
from bench.corpus.rows.structure import SATURATED_LOOK


def rows() -> Iterator[Row]:
    for part in (graphs, tables, looks, sequences):
        yield from part()


def graphs() -> Iterator[Row]:
    for start in (*newer("sage"), *newer("gat")):
        for skip, depth in product((False, True), (9, 24)):
            yield start.but(parameters={"depth": depth, "skip": skip})
        for activation in ("sigmoid", "tanh"):
            yield start.but(parameters={"activation": activation})
    yield base("sage", "blocks").but(parameters={"norm": "layer", "depth": 16})
    for sharp in (0.0, 30.0, 1e4):
        yield base("gat", "blocks").but(parameters={"sharp": sharp})


def tables() -> Iterator[Row]:
    for number, start in enumerate(newer("tabular")):
        for drop in (0.0, 0.5, 0.95):
            yield start.but(parameters={"drop": drop})
        yield start.but(parameters={"norm": ("none", "layer", "rms")[number % 3], "depth": 12})
    for number, start in enumerate(newer("experts")):
        for route in ("top", "pick"):
            yield start.but(parameters={"route": route})
        for sharp in (30.0, 1e4)[number % 2 :]:
            yield start.but(parameters={"sharp": sharp, "route": "top"})
        yield start.but(parameters={"experts": (1, 2, 16)[number % 3]})
        yield start.but(parameters={"activation": ("sigmoid", "tanh")[number % 2], "depth": 4})
    for start in (*newer("tagger"), *(row for row in newer("residual") if row.task != "prices")):
        for activation in ("sigmoid", "tanh"):
            yield start.but(parameters={"activation": activation, "depth": 6})


def looks() -> Iterator[Row]:
    for start in newer("squeeze"):
        bare = start.but(parameters={"skip": False, "depth": 4})
        yield bare
        yield bare.broken(
            "SG102", "SG101", line="torch.sigmoid(up(torch.relu(down(y.mean((2, 3))))))", parameters={"gate": -12.0}
        )
        yield start.but(parameters={"gate": -6.0})
        yield start.but(parameters={"norm": "batch"})
    for start in newer("inception"):
        for activation in ("sigmoid", "tanh"):
            yield start.but(parameters={"activation": activation, "depth": 3})
        yield start.but(parameters={"norm": "batch", "depth": 5})
    for start in (*newer("vit"), *newer("encoder")):
        for place, norm in (("post", "layer"), ("pre", "none")):
            bare = start.but(parameters={"depth": 4, "place": place, "norm": norm})
            yield bare
        yield bare.broken(*VANISHED, parameters={"skip": False})
        yield start.broken(*SATURATED_LOOK, line="torch.softmax(logits, dim=-1)", parameters={"sharp": 300.0})
        yield start.but(parameters={"sharp": 0.0})


def sequences() -> Iterator[Row]:
    for start in newer("tcn"):
        for gain in (0.1, 0.5, 3.0):
            yield start.but(parameters={"gain": gain})
        yield start.but(parameters={"activation": "sigmoid"})
    for start in newer("recurrent"):
        for cell in ("rnn", "lstm", "gru"):
            yield start.but(parameters={"cell": cell})
        for gain in (0.1, 3.0):
            yield start.but(parameters={"cell": "rnn", "init": "orthogonal_", "gain": gain})
        yield start.but(parameters={"layers": 3})
    for start in newer("loop"):
        for gain in (0.1, 0.5, 1.3, 3.0):
            yield start.but(parameters={"gain": gain})
        for activation in ("sigmoid", "relu"):
            yield start.but(parameters={"activation": activation})
    for start in (base("decoder", "letters"), base("recurrent", "letters"), base("translator", "sorting")):
        for rate in (0.03, 0.1, 0.3, 1.0):
            yield start.but(rate=rate)
    for start in (base("decoder", "letters"), base("translator", "sorting")):
        bare = start.but(parameters={"norm": "none"})
        yield bare
        yield bare.broken(*VANISHED, parameters={"skip": False})
        yield start.broken(*SATURATED_LOOK, line="torch.softmax(logits, dim=-1)", parameters={"sharp": 300.0})
