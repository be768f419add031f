"""What ``sg.precision`` keeps higher is enough on batches that it has not seen; the page shows what was measured."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="the nets are trained on scikit-learn's digits")

from bench.precision import NETS, PAGE, borne, known, table

FOUND = known()


def test_the_page_shows_every_row_that_was_measured() -> None:
    assert table(FOUND) in PAGE.read_text(encoding="utf-8")


def test_rows_are_of_nets_as_they_are_now() -> None:
    assert {one.net for one in FOUND} <= set(NETS)
    assert all(len(one.kept) <= one.operations for one in FOUND)


def test_what_is_kept_is_enough_in_nine_of_ten_rows() -> None:
    assert sum(one.with_kept <= borne(one) for one in FOUND) >= 0.9 * len(FOUND)
