"""Every public result has a line that is short whatever it holds, and HTML in which names of the user's stay text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad as sg

NAME = "<script>alert(1)</script>" * 200


def results() -> Iterator[object]:
    """One of each, of a model whose class has a very long name with tags in it."""
    torch.manual_seed(0)
    model = type(NAME, (nn.Sequential,), {})(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    x = torch.randn(32, 8)
    batch = x, x[:, :3].argmax(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    yield sg.check(model, batch, F.cross_entropy, optimizer=optimizer, trial=3)
    cured = sg.cure(model, batch, F.cross_entropy, optimizer=optimizer)
    yield cured
    yield sg.prove(model, batch, F.cross_entropy, optimizer=optimizer, cured=cured, steps=3)
    yield sg.find_lr(model, batch, F.cross_entropy, optimizer=optimizer)
    yield sg.Fixed(cured, why=f"no cure of {NAME} can be written", tried=(NAME,), by_hand=NAME)
    guard = sg.guard(model, optimizer, quiet=True)
    for _ in range(3):
        F.cross_entropy(model(x), batch[1]).backward()
        optimizer.step()
        optimizer.zero_grad()
    guard.detach()
    yield guard


@pytest.mark.long
def test_every_result_shows_itself_in_a_line_and_as_html() -> None:
    kinds = set()
    for result in results():
        kinds.add(type(result).__name__)
        assert repr(result).startswith("<") and "\n" not in repr(result)
        assert len(repr(result)) < 2000, type(result)
        page = result._repr_html_()  # type: ignore[attr-defined]
        assert '<div class="sg-report">' in page and len(page) < 200_000, type(result)
        assert "<script" not in page, type(result)
    assert kinds == {"Report", "Cured", "Proof", "RateSearch", "Fixed", "Guard"}


def test_a_saved_report_that_is_read_back_is_short_too() -> None:
    report = sg.check(nn.Linear(8, 3), (torch.randn(32, 8), torch.randint(0, 3, (32,))), F.cross_entropy, trial=0)
    assert len(repr(sg.Report.from_json(report.to_json()))) < 2000
    assert len(repr(sg.Report.__mro__[1].from_json(report.to_json()))) < 2000  # type: ignore[attr-defined]


@pytest.mark.parametrize("rate", [None, 1e-3])
def test_a_search_for_a_rate_prints_its_table(rate: float | None) -> None:
    from steadygrad.record.rates import RateTried

    found = sg.RateSearch((RateTried(1e-3, (2.0, 1.0), False),), 10, rate, "words")
    assert "0.001" in str(found) and "words" in str(found)
