"""A guard shows the run that it watches without a journal: the curves and the alarms, on few points however long it is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad
from steadygrad import journal
from steadygrad._guard import course
from steadygrad._guard.showing import run_of
from steadygrad.journal.columns import points
from tests.guard.test_attach import train, watched


def test_outside_a_notebook_it_prints_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer, guard, _ = watched(clip=steadygrad.Clip.norm(0.5))
    train(model, optimizer, 0, 60)
    guard.show()
    shown = capsys.readouterr().out
    assert re.match(r"Sequential · 60 steps in .* · running", shown)
    for words in ("loss", "gradient", "0.weight", "clip norm:0.5: acted in", "no alarm"):
        assert words in shown
    guard.detach()
    guard.show()
    assert "60 steps" in (shown := capsys.readouterr().out) and "finished" in shown


def test_a_guard_without_a_step_shows_that(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, guard, _ = watched()
    guard.show()
    assert "no step yet" in capsys.readouterr().out
    assert "no step yet" in guard._repr_html_()


def test_it_shows_what_a_journal_of_the_run_holds(tmp_path: Path) -> None:
    model, optimizer, guard, _ = watched(journal=str(tmp_path / "run.sgj"), clip=steadygrad.Clip.norm(0.5))
    train(model, optimizer, 0, 150)
    guard.detach()
    own, written = run_of(guard), journal.read(tmp_path / "run.sgj")
    assert own.watched == written.watched and own.steps == written.steps == 150
    assert own.clipped_share == pytest.approx(written.clipped_share)
    for name in ("steps", "counts", "high", "after_high", "factors", "norms", "losses"):
        np.testing.assert_allclose(getattr(own.series, name), getattr(written.series, name), rtol=1e-6)


def test_several_optimizers_have_a_curve_each() -> None:
    body, head = nn.Linear(8, 8), nn.Linear(8, 3)
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.01) for part in (body, head)]
    with steadygrad.guard([body, head], optimizers, probe_every=0, quiet=True) as guard:
        for _ in range(30):
            head(body(torch.randn(16, 8))).square().mean().backward()
            for one in optimizers:
                one.step()
                one.zero_grad()
        guard.flush()
        series = run_of(guard).series
        assert series.high.shape == (30, 2) and np.isfinite(series.high).all()
        assert guard._repr_html_().count("<h2>gradient norm of ") == 2


def test_a_long_run_keeps_few_points_and_loses_no_peak() -> None:
    kept = course.Course([3])
    steps, norms = np.arange(1, 20_001), np.ones((20_000, 3), np.float32)
    norms[12_345] = 50.0
    for begin in range(0, 20_000, 128):
        part = slice(begin, begin + 128)
        totals = np.sqrt((norms[part].astype(float) ** 2).sum(axis=1))
        size = len(totals)
        rows = points(steps[part], np.arange(size), norms[part], totals, np.ones(size), np.full(size, 0.1), width=3)
        kept.add(0, rows, np.full(size, 2.0))
    series = kept.series()
    assert 200 <= len(series) <= course.MOST
    assert series.steps[0] == 1 and series.last_steps[-1] == 20_000 and series.counts.sum() == 20_000
    assert series.high.max() == pytest.approx(50.0 * 3**0.5) and series.losses == pytest.approx(2.0)
