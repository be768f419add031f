"""Whether the small model's best learning rate serves the large one: the sweeps against plain torch, the proof, and its pages."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.cli import main
from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import SteadygradError
from steadygrad.record.transfer import KEPT, TransferRecord
from steadygrad.scaling.transfer import FARTHEST, STEPS, sweep
from tests.scaling.families import TEXT, Transformer, words_loss

SIZES = (8, 16)


def build(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(16, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))


def batches(step: int) -> tuple[Tensor, Tensor]:
    """Classes that a fixed random net gives, with a part of chance, so that no net learns them whole."""
    fixed, own = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1000 + step)
    x = torch.randn(32, 16, generator=own)
    scores = torch.tanh(x @ torch.randn(16, 32, generator=fixed)) @ torch.randn(32, 10, generator=fixed)
    return x, torch.multinomial(scores.softmax(-1), 1, generator=own)[:, 0]


@given(st.floats(-FARTHEST, FARTHEST))
def test_a_sweep_finds_the_best_rate_to_a_root_of_two(octave: float) -> None:
    asked: list[float] = []

    def train(factor: float) -> tuple[float, float]:
        asked.append(factor)
        return 100.0, (math.log2(factor) - octave) ** 2

    found = sweep(16, train)
    assert abs(math.log2(found.best.factor) - octave) <= 0.25 + 1e-9
    assert found.bracketed and found.reached(found.best.factor) == 1.0
    assert len(asked) == len(set(asked)) <= FARTHEST + 5
    assert [one.factor for one in found.runs] == sorted(asked)


def test_where_every_rate_diverges_nothing_is_reached() -> None:
    found = sweep(16, lambda factor: (2.0, math.inf))
    assert math.isnan(found.reached(1.0)) and len(found.runs) <= 2 * FARTHEST


def trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """The mean loss of the last fifth, by torch alone. The first batch judges and is not trained on."""
    losses = []
    for step in range(1, STEPS + 1):
        x, y = batches(step)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        losses.append(float(loss.detach()))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    x, y = batches(0)
    losses.append(float(F.cross_entropy(model(x), y).detach()))
    return fmean(losses[-STEPS // 5 :])


@pytest.fixture(scope="module")
def proof() -> TransferRecord:
    found = sg.scale(build, SIZES, batches, F.cross_entropy, optimizer="adam:1e-3", seeds=1, prove_at=64)
    assert found.transfer is not None
    return found.transfer


@pytest.mark.long
@pytest.mark.parametrize("size", [8, 64])
def test_the_losses_are_those_of_plain_torch(size: int, proof: TransferRecord) -> None:
    runs = (proof.small if size == 8 else proof.before).runs
    for one in (runs[0], runs[-1]):
        seed_torch(0)
        model = build(size)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * one.factor)
        assert one.loss == pytest.approx(trained(model, optimizer), rel=1e-5)


@pytest.mark.long
def test_the_cured_one_is_trained_as_its_numbers_say(proof: TransferRecord) -> None:
    found = sg.scale(build, SIZES, batches, F.cross_entropy, optimizer="adam:1e-3", seeds=1)
    seed_torch(0)
    model = build(64)
    found.initialise_(model, 64)
    one = proof.after.best
    optimizer = torch.optim.Adam(found.groups(model, 64, lr=1e-3 * one.factor))
    assert one.loss == pytest.approx(trained(model, optimizer), rel=1e-5)


@pytest.mark.long
def test_a_kept_model_is_left_as_it_is() -> None:
    kept = {width: build(width) for width in (8, 16, 32)}
    before = {width: [p.detach().clone() for p in model.parameters()] for width, model in kept.items()}
    sg.scale(kept.__getitem__, (8, 16), batches, F.cross_entropy, optimizer="adam:1e-3", seeds=1, prove_at=32)
    for width, model in kept.items():
        assert all(torch.equal(was, now) for was, now in zip(before[width], model.parameters(), strict=True))
        assert all(p.grad is None for p in model.parameters())


@pytest.mark.long
def test_a_transformer_keeps_its_rate_with_the_cure_and_loses_it_without() -> None:
    found = sg.scale(
        lambda width: Transformer(width, power=0.5), (16, 32, 64), TEXT, words_loss, optimizer="adam:1e-3", prove_at=128
    )
    transfer = found.transfer
    assert transfer is not None and transfer.proven
    assert transfer.before.reached(transfer.shared) < KEPT < transfer.after.reached(transfer.shared)
    assert "proven: the best rate of width 16" in str(found)


@pytest.mark.long
def test_over_depth_as_over_width() -> None:
    def deep(layers: int) -> nn.Module:
        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)

            def forward(self, x: Tensor) -> Tensor:
                return x + self.down(F.relu(self.up(self.norm(x))))  # type: ignore[no-any-return]

        return nn.Sequential(nn.Linear(16, 16), *(Block() for _ in range(layers)), nn.LayerNorm(16), nn.Linear(16, 10))

    found = sg.scale_depth(
        deep, (2, 4), batches, F.cross_entropy, optimizer="adam:1e-3", seeds=1, seconds=0, prove_at=8
    )
    assert found.transfer is not None and (found.transfer.small.size, found.transfer.after.size) == (2, 8)
    assert found.transfer.small.best.loss < found.transfer.small.start


class NoRate(torch.optim.Optimizer):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.data.sub_(1e-3 * parameter.grad)


def test_bad_input_gets_one_sentence() -> None:
    with pytest.raises(SteadygradError, match="prove_at is 16, expected a width above the smallest, which is 16"):
        sg.scale(build, (16, 32), batches, F.cross_entropy, prove_at=16)
    with pytest.raises(SteadygradError, match="NoRate has no learning rate"):
        sg.scale(build, (16, 32), batches, F.cross_entropy, optimizer=NoRate, seeds=1, prove_at=64)


FILE = """
import torch
from torch import nn


def build(hidden=16, inner=32):
    return nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, inner), nn.ReLU(), nn.Linear(inner, 3))
"""


BOTH = ["net.py:build", "--width", "hidden=16,32", "--width", "inner=32,64", "--seeds", "1", "--quiet"]


@pytest.mark.long
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    main(["scale", *BOTH, "--prove-at", "64", "--output-format", "json"])
    said = json.loads(capsys.readouterr().out)["transfer"]
    assert (said["small"]["size"], said["after"]["size"]) == (16, 64) and isinstance(said["proven"], bool)
    assert {"best", "bracketed", "reached"} <= set(said["before"])


def test_a_large_size_that_the_command_cannot_build_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    unlike = ["net.py:build", "--width", "hidden=16,32", "--width", "inner=32,33", "--prove-at", "64"]
    assert main(["scale", *unlike]) == 2
    assert "inner does not grow in proportion" in capsys.readouterr().err.replace("\n", " ")
    assert main(["scale", *BOTH, "--prove-at", "16"]) == 2
    assert "--prove-at 16 is not above the smallest size, 16" in capsys.readouterr().err
