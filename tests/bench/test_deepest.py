"""The page of the deepest nets follows from its record, and a row is what a small net of the kind gives."""

from __future__ import annotations

import pytest
from torch import nn

from bench.deepest import FOLDED, NETS, PAGE, SCALED, Net, measure, missing, page, rows
from bench.deepest_nets import plain, transformer


def test_the_page_follows_from_the_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rows())


def test_what_the_record_holds_is_not_trained_again() -> None:
    known = {(row.net, row.depth) for row in rows()}
    assert known
    assert {(net.title, net.depth) for net in missing([])} == {(net.title, net.depth) for net in NETS} - known


def test_every_net_without_skips_that_was_folded_learns() -> None:
    found = [row for row in rows() if "transformer" not in row.net and row.cure]
    assert [row.net for row in rows() if not row.cure] == ["MLP, LogSigmoid"]  # The page says that nothing folds it.
    for row in found:
        assert row.before is not None and row.before < -50, row
        assert row.after is not None and abs(row.after) < 1, row
        assert row.accuracy is not None and row.accuracy > 0.3, row


@pytest.mark.parametrize(
    ("net", "least"),
    [
        (Net("small", "mlp", 40, lambda: plain("mlp", nn.Tanh, 40), FOLDED), 0.8),
        (Net("small", "conv", 20, lambda: plain("conv", nn.ReLU, 20), FOLDED), 0.8),
        (Net("small", "transformer", 3, lambda: transformer(3, norm_first=True), SCALED), 0.3),
    ],
    ids=["mlp", "conv", "transformer"],
)
@pytest.mark.long
def test_a_row_of_a_small_net(net: Net, least: float) -> None:
    row = measure(net)
    assert row.cure and not row.why_not
    assert row.accuracy is not None and row.accuracy >= least
