"""What ``sg.cure`` alone made of the sick cases, as ``python -m bench.cured`` wrote it down."""

from __future__ import annotations

import json
from statistics import fmean

import pytest

from bench.corpus.cases import cases
from bench.corpus.cases.sick import dead, exploding, initialisation, recurrent, saturation, setup, updates, vanishing
from bench.cured import FEWEST, MOST, RESULTS, examine

CURABLE = {
    case.name
    for module in (dead, exploding, initialisation, recurrent, saturation, setup, updates, vanishing)
    for case in module.CASES
}
"""Those whose cause lies in numbers, set-up or architecture; not code that cuts the gradient off or divides by zero."""

BELOW_THE_TWIN = {"blur-every-layer"}
"""Healthy, and short of nine tenths of what the twin reaches (0.85 beside 0.96): batch norm mends the size of what sixteen blurs
leave of the signal; the blurs themselves stay."""


def test_what_the_record_says() -> None:
    rows = {row["name"]: row for row in map(json.loads, RESULTS.read_text().splitlines())}
    assert len(CURABLE) >= 100
    assert not {name for name in CURABLE if rows[name]["after"] != "healthy"}
    short = {name for name in CURABLE if rows[name]["cured_score"] < 0.9 * rows[name]["twin_score"]}
    assert short == BELOW_THE_TWIN


def test_what_is_compared_are_means_over_several_orders_of_the_samples() -> None:
    for row in map(json.loads, RESULTS.read_text().splitlines()):
        if row["name"] in CURABLE:
            for which in ("cured", "twin"):
                assert FEWEST <= len(row[f"{which}_scores"]) <= MOST
                assert row[f"{which}_score"] == round(fmean(row[f"{which}_scores"]), 4)


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "sgd-rate-10",
        "yields-sgd",
        "softmax-into-cross-entropy-sgd",
        "relu-10-std-0.01",
        "decoupled-decay-30",
        "gates-shut",
        "prices-adam",
        "loss-summed-over-the-batch",
    ],
)
def test_cured_and_trained_beside_its_twin(name: str) -> None:
    result = examine(cases("sick")[name])
    assert result.before != "healthy"
    assert result.after == "healthy"
    assert result.cured_score >= 0.9 * result.twin_score
