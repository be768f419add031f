"""The rate that is best for a small net serves a large one after the cure; the page shows what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.transfer import outcomes, table

PAGE = (Path(__file__).parents[2] / "docs/scale.md").read_text(encoding="utf-8")
FOUND = outcomes()

MOVES = {"transformer", "residual MLP", "transformer, 256 words, tied"}
"""Their large nets gain by another rate, less than 1 % of their loss: the page says so."""


def test_the_page_shows_every_family_that_was_trained_whole() -> None:
    assert len(FOUND) >= 6
    assert "\n".join(table()) in PAGE


@pytest.mark.parametrize("name", [name for name in FOUND if name not in MOVES])
def test_the_best_rate_stays(name: str) -> None:
    found = FOUND[name]
    assert 1 / 1.5 < found.best["after"] / found.best["small"] < 1.5


@pytest.mark.parametrize("name", FOUND)
def test_a_small_net_s_rate_serves_the_large_one(name: str) -> None:
    assert FOUND[name].cost["after"] < 0.01
