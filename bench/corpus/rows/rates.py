"""Learning rates over seven decades, under every optimizer of the table, for every family."""

from __future__ import annotations

from collections.abc import Iterator

from bench.corpus.row import Row
from bench.corpus.rows.bases import BASES

TOO_LARGE, TOO_SMALL = ("SG204", "SG105", "SG203"), ("SG106",)

SGD_RATES = (1e-4, 0.01, 0.1, 1.0, 10.0)
THIRD = ("momentum", "adamw", "rmsprop", "adafactor")
SMALL = 1e-6


def rows() -> Iterator[Row]:
    for number, start in enumerate(BASES):
        yield start
        yield start.broken(*TOO_SMALL, rate=SMALL)
        yield start.but(rate=start.rate * (10 if number % 2 else 0.1))
        yield start.broken(*TOO_LARGE, rate=1.0 if number % 3 else 0.1)
        for rate in SGD_RATES[number % 3 :: 3]:
            yield start.but(optimizer="sgd", rate=rate, optimizer_options=())
        third = THIRD[number % len(THIRD)]
        scale = {"momentum": 10.0, "adafactor": 10.0}.get(third, 1.0)
        usual = start.but(optimizer=third, rate=start.rate * scale, optimizer_options=())
        yield usual
        if number % 3:
            yield usual.broken(*TOO_LARGE, rate=start.rate * scale * 1000)
        else:
            yield usual.broken(*TOO_SMALL, rate=start.rate * scale / 1000)
