"""When a drift began: where the norms left what they had settled at, and not where they were lowest."""

from __future__ import annotations

import numpy as np
import pytest

from steadygrad.detect import judge
from steadygrad.detect.history import State
from steadygrad.record.rows import Columns, Rows

COLUMNS = Columns(("a.weight", "b.weight", "c.weight", "d.weight"), (64,) * 4, (True,) * 4)


def drift(levels: np.ndarray) -> tuple[int, int]:
    """The first and the last step at which the growth may have begun; ``levels``: log10 of the norms, step by step."""
    noise = np.random.default_rng(0).normal(0, 0.02, (len(levels), 4))
    norms = (10.0 ** (levels[:, None] + noise)).astype(np.float32)
    steps, ones = np.arange(1, len(levels) + 1), np.ones(len(levels), np.float32)
    found = judge.judge(State(COLUMNS), Rows(steps, np.zeros(len(levels)), norms, ones, ones))
    (first, *_) = [one for one in found if one.code == "SG201" and one.lasting]
    return first.step - first.slack, first.step


@pytest.mark.parametrize("plateau", [200, 400, 1000])
@pytest.mark.parametrize("rate", [0.02, 0.05])
def test_a_norm_that_settled_and_then_grows_began_to_grow_there(plateau: int, rate: float) -> None:
    """As in most runs, the norm rises tenfold in the first steps, and settles."""
    settling = np.minimum(0.0, -1.0 + np.arange(plateau) / 50)
    growing = rate * np.arange(1, 176)
    earliest, latest = drift(np.concatenate([settling, growing]))
    assert earliest <= plateau + 1 <= latest
    assert latest - earliest <= 75


def test_a_norm_that_grows_all_the_way_began_at_its_lowest() -> None:
    earliest, latest = drift(0.005 * np.arange(700))
    assert earliest <= 100 and latest <= 125
