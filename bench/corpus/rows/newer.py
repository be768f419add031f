"""The newer families, each through the same sweep: rates, optimizers, depth, weights, batch, input, and flaws.

What a family is broken by goes round with its place in the list, so that each breakage is seen in families of every kind.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.corpus.row import Row
from bench.corpus.rows.bases import NEWER
from bench.corpus.rows.conditions import UNSCALED
from bench.corpus.rows.depth import EXPLODED, VANISHED
from bench.corpus.rows.flaws import FLAWS, SOFTMAX_TWICE, Flaw, with_flaw
from bench.corpus.rows.rates import TOO_LARGE, TOO_SMALL

DEEPER: dict[str, tuple[int, ...]] = {
    "pinn": (4, 10),
    "siren": (4, 8),
    "mlp": (8, 20),
    "triplet": (6, 14),
    "siamese": (6, 14),
    "contrast": (6, 14),
    "autoencoder": (6, 12),
    "residual": (12, 30),
    "unet": (4, 10),
    "sage": (6, 16),
    "gat": (5, 12),
    "gan": (4, 7),
    "vae": (4, 9),
    "qnet": (6, 14),
    "tagger": (8, 16),
    "tabular": (8, 20),
    "experts": (5, 10),
    "squeeze": (5, 9),
    "inception": (5, 9),
    "vit": (4, 8),
    "encoder": (4, 8),
    "mixer": (4, 8),
    "tcn": (8, 14),
    "decoder": (4,),
    "translator": (3,),
}
"""Depths on the way to where the plain ones of a kind no longer train, and past it."""

BESIDE_A_SKIP = ("tabular", "squeeze", "mixer", "tcn")
READS_TOKENS = ("letters", "sorting")
ANSWERS_ONCE = {
    *("residual", "tabular", "experts", "squeeze", "inception", "vit", "encoder", "mixer", "recurrent", "tcn", "sage"),
    *("gat", "tagger"),
}
NUMBERS = {"waves", "adding", "extremes", "friedman", "prices", "distilled", "letters"}
"""Tasks whose answers are no classes, or one at each step."""

RECTIFIED = Flaw("rectified", 0.0, ("SG308", "SG103"), "F.relu(x)", at="last")
SQUASHED_TWICE = Flaw("squashed", 1.0, ("SG303",), "torch.sigmoid(x * self.amount)", at="last")
AT_THE_END = (SOFTMAX_TWICE, RECTIFIED, SQUASHED_TWICE)

WEIGHTS = (("normal_", 0.01), ("kaiming_normal_", 3.0), ("xavier_uniform_", 1.0), ("normal_", 1.0))


def rows() -> Iterator[Row]:
    for number, start in enumerate(NEWER):
        yield start
        yield from rates(number, start)
        yield from optimizers(number, start)
        yield from nets(number, start)
        yield from surroundings(number, start)
        yield from flawed(number, start)


def rates(number: int, start: Row) -> Iterator[Row]:
    """Both ends, and one step towards an edge from each."""
    yield start.broken(*TOO_SMALL, rate=1e-5 if number % 2 else 1e-6)
    yield start.but(rate=start.rate / 10)
    yield start.but(rate=start.rate * (3 if number % 2 else 10))
    yield start.broken(*TOO_LARGE, rate=(0.3, 1.0, 3.0)[number % 3])


def optimizers(number: int, start: Row) -> Iterator[Row]:
    plain = start.but(optimizer="sgd", rate=0.1, optimizer_options=())
    usual = ("momentum", "adamw", "rmsprop", "adagrad")[number % 4]
    yield plain
    yield plain.broken(*TOO_SMALL, rate=1e-5)
    yield plain.broken(*TOO_LARGE, rate=10.0)
    rate = start.rate * (3.0 if usual in ("momentum", "adagrad") else 1.0)
    yield start.but(optimizer=usual, rate=rate, optimizer_options=())


def nets(number: int, start: Row) -> Iterator[Row]:
    for depth in DEEPER.get(start.model, ()):
        deep = start.but(parameters={"depth": depth})
        yield deep
    if start.model in BESIDE_A_SKIP:
        yield deep.broken(*VANISHED, parameters={"skip": False})
    if start.model not in ("recurrent", "tcn", "siren", "loop"):
        init, gain = WEIGHTS[number % len(WEIGHTS)]
        cause = VANISHED if gain < 0.1 else EXPLODED
        parameters = {"init": init, "gain": gain}
        yield start.but(parameters=parameters) if init.startswith("x") else start.broken(*cause, parameters=parameters)


def surroundings(number: int, start: Row) -> Iterator[Row]:
    if start.task != "blocks":
        yield start.but(batch=(4, 128, 8)[number % 3])
    if start.task not in (*READS_TOKENS, "oscillator", "heat", "bell", "transitions"):
        yield start.broken(*UNSCALED, inputs=(1e-4, 100.0, 1e4)[number % 3])


def flawed(number: int, start: Row) -> Iterator[Row]:
    """Four flaws of twelve for each family, and one on what comes out where that is a class.

    Not where the output is scaled: that takes the one ``amount`` there is.
    """
    if "amount" in dict(start.parameters):
        return
    for place, flaw in enumerate(FLAWS):
        if (5 * number + place) % 3 == 0 and (start.model, flaw.name) != ("pinn", "detached"):
            yield with_flaw(start, flaw)
    if start.model in ANSWERS_ONCE and start.task not in NUMBERS:
        yield with_flaw(start, AT_THE_END[number % 3])
