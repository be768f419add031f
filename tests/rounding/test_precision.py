"""The verdict at another precision: planted operations that a format does not bear, a loss scale, weights, and no mark."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import steadygrad as sg
from steadygrad.cli import main
from steadygrad.errors import SteadygradError
from steadygrad.record.precision import PRECISIONS
from steadygrad.rounding.emulation import Site
from steadygrad.rounding.formats import RECIPES
from steadygrad.rounding.search import MOST, Search, plan_for
from steadygrad.rounding.training import behind, losses_of
from steadygrad.source.spans import recording_constructions
from steadygrad.subject.subject import Subject, make_subject


def data(features: int = 16) -> tuple[Tensor, Tensor]:
    """Classes that depend on all features."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, features, generator=generator)
    return x, (x @ torch.randn(features, 4, generator=generator)).argmax(1)


class Net(nn.Module):
    """Three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 64)
        self.middle = nn.Linear(64, 64)
        self.last = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.last(F.relu(self.middle(x)))  # type: ignore[no-any-return]


class Outlier(Net):
    """The same, with one feature ten million times as large, which float8 with one scale for all does not bear."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([x[:, :15], 1e7 + 0 * x[:, :1]], 1))

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.first.weight[:, 15] = 0.0
        self.first.weight.register_hook(lambda g: torch.cat([g[:, :15], 0 * g[:, :1]], 1))  # type: ignore[no-untyped-call]


def found_for(model: nn.Module, to: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return sg.precision(model, data(), F.cross_entropy, **{"to": to, "optimizer": "adam:3e-3", **options})


def seeded(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind()


@pytest.mark.long
@pytest.mark.parametrize("to", ["bf16", "fp16", "fp8", "mxfp8"])
def test_a_plain_net_trains_as_it_is(to: str) -> None:
    found = found_for(seeded(Net), to)
    assert found.as_it_is and found.kept == () and found.loss_scale == 1.0
    assert [one.weight for one in found.operations] == ["first.weight", "middle.weight", "last.weight"]
    assert ("weights may be stored in bf16 too" in str(found)) is (
        found.weights == "rounded to nearest" and to == "bf16"
    )
    (whole, *_) = found.trained
    assert abs(whole.behind) < 0.01 and len(whole.losses) == len(found.reference) == 30


@pytest.mark.long
def test_numbers_of_each_operation_are_in_the_record() -> None:
    errors = {}
    for to in PRECISIONS:
        found = found_for(seeded(Net), to, tolerance=0.9)
        for one in found.operations:
            assert 0 < one.first.error < 1 and 0 < one.second.error < 1 and 0 < one.gradient.error < 1
            assert one.harm > 0 and one.weight_error > 0 and one.weight_cosine == pytest.approx(1, abs=0.3)
            assert abs(one.decades) < 0.5 and one.calls == 1
        errors[to] = found.operations[1].first.error
    # Bits behind the point: 10, 7, 3 (twice), 1.
    assert errors["fp16"] < errors["bf16"] / 4 < errors["fp8"] / 16 and errors["mxfp8"] < errors["nvfp4"]


@pytest.mark.long
@pytest.mark.parametrize(("to", "seen"), [("fp8", "flushed"), ("mxfp8", "flushed"), ("fp16", "saturated")])
def test_the_operation_that_a_format_does_not_bear_is_kept_and_named_at_its_line(to: str, seen: str) -> None:
    found = found_for(seeded(Outlier), to)
    assert [one.weight for one in found.kept] == ["first.weight"] and found.modules == ("first",)
    assert getattr(found.kept[0].first, seen) == pytest.approx(15 / 16 if seen == "flushed" else 1 / 16, abs=0.01)
    (flaw,) = [one for one in found.findings if one.severity is sg.Severity.ERROR]
    assert flaw.kind == "operations"
    (place,) = flaw.locations
    assert place.text == "self.first(x)"
    with_all, *_ = found.trained
    assert with_all.behind > 0.01
    assert min(one.behind for one in found.trained) <= 0.01


@pytest.mark.long
def test_gradients_that_float16_flushes_need_a_loss_scale() -> None:
    def tiny(output: Tensor, y: Tensor) -> Tensor:
        return 1e-6 * F.cross_entropy(output, y)

    torch.manual_seed(0)
    found = sg.precision(Net(), data(), tiny, to="fp16", optimizer=lambda own: torch.optim.Adam(own, 3e-3, eps=1e-16))
    assert found.loss_scale > 1 and math.log2(found.loss_scale).is_integer() and found.kept == ()
    (flaw,) = [one for one in found.findings if one.kind == "loss-scale"]
    assert "become zero in fp16" in flaw.message and f"init_scale={found.loss_scale:.0f}" in flaw.advice
    assert found.operations[0].gradient.flushed > 0.99


def drawn(step: int) -> tuple[Tensor, Tensor]:
    """Batches by step, each of its own."""
    x, y = data()
    rows = torch.randint(len(x), (32,), generator=torch.Generator().manual_seed(step))
    return x[rows], y[rows]


def missing(subject: Subject, kept: tuple[Site, ...], first: int) -> float:
    plans = plan_for(RECIPES["nvfp4"], kept), plan_for(RECIPES["bf16"], ())
    return behind(*(losses_of(subject, plan, 8, first=first) for plan in plans))


def test_what_is_near_to_the_tolerance_is_decided_by_trainings_on_other_batches() -> None:
    subject = make_subject(seeded(Net), drawn, F.cross_entropy, optimizer="adam:3e-3")
    by_hand = [missing(subject, (), repeat * 9) for repeat in range(MOST)]
    near = Search(subject, RECIPES["nvfp4"], 8, by_hand[0], lambda _: None)
    follows = near.follows((), "all operations in nvfp4")
    assert near.trained[0].behind in [fmean(by_hand[:many]) for many in range(2, MOST + 1)]
    assert not follows or near.trained[0].behind < by_hand[0]
    far = Search(subject, RECIPES["nvfp4"], 8, 10 * by_hand[0], lambda _: None)
    assert far.follows((), "all operations in nvfp4") and far.trained[0].behind == by_hand[0]


def test_one_batch_is_trained_on_once_however_near() -> None:
    subject = make_subject(seeded(Net), data(), F.cross_entropy, optimizer="adam:3e-3")
    once = missing(subject, (), 0)
    search = Search(subject, RECIPES["nvfp4"], 8, once, lambda _: None)
    assert search.follows((), "all operations in nvfp4") and search.trained[0].behind == once


def test_a_rate_at_which_every_rounding_parts_is_said_to_tell_no_more() -> None:
    found = found_for(seeded(Net), "fp8", optimizer="sgd:1")
    assert found.noise > 0.1 and found.as_it_is
    assert f"{100 * found.noise:.0f}% of the loss's fall lies between the net as it is and in bf16" in str(found)


@pytest.mark.long
def test_updates_that_bfloat16_weights_swallow() -> None:
    torch.manual_seed(0)
    found = sg.precision(Net(), data(), F.cross_entropy, to="bf16", optimizer="adam:1e-4", steps=60)
    assert all(one.swallowed > 0.3 for one in found.updates)
    assert found.as_it_is  # With float32 weights under autocast.
    assert found.weights == "rounded stochastically"
    (note,) = found.findings
    assert note.kind == "weights" and note.severity is sg.Severity.INFO


def test_the_model_and_its_optimizer_stay_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    sg.precision(model, data(), F.cross_entropy, to="nvfp4", optimizer=optimizer, steps=5, tolerance=0.9)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not optimizer.state and all(p.grad is None for p in model.parameters())


class Checkpointed(Net):
    """The same, which runs its middle again in the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        x = checkpoint(lambda y: F.relu(self.middle(y)), F.relu(self.first(x)), use_reentrant=False)
        return self.last(x)  # type: ignore[no-any-return]


def test_what_runs_again_in_the_backward_pass_is_rounded_there_too() -> None:
    plain, again = (found_for(seeded(kind), "fp8", steps=5, tolerance=0.9) for kind in (Net, Checkpointed))
    assert again.trained[0].losses == plain.trained[0].losses
    assert [one.weight_error for one in again.operations] == [one.weight_error for one in plain.operations]


@pytest.mark.long
def test_an_optimizer_that_looks_several_times_is_stepped() -> None:
    torch.manual_seed(0)
    found = sg.precision(Net(), data(), F.cross_entropy, to="bf16", optimizer="lbfgs:0.1", steps=3, tolerance=0.9)
    assert found.reference[-1] < found.reference[0] and found.as_it_is


def test_operations_are_the_same_in_every_pass_of_a_convolutional_net() -> None:
    torch.manual_seed(0)
    with recording_constructions():
        model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(32, 4))
    x, y = data(36)
    found = sg.precision(model, (x.view(-1, 1, 6, 6), y), F.cross_entropy, to="mxfp8", optimizer="adam:3e-3", steps=5)
    assert [(one.module, one.name) for one in found.operations] == [("0", "conv2d"), ("2", "conv2d"), ("4", "linear")]
    places = [one.location.text if one.location is not None else "" for one in found.operations]
    assert places == ["nn.Conv2d(1, 8, 3)", "nn.Conv2d(8, 8, 3)", "nn.Linear(32, 4)"]


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (Net(), {"to": "fp6"}, "give one of bf16, fp16, fp8, mxfp8, nvfp4"),
        (Net(), {"to": "fp8", "steps": 0}, "give 1 step or more"),
        (nn.Sequential(nn.LSTM(16, 4)), {"to": "fp8"}, "multiplies no matrices that could be rounded; lstm stay"),
        (Net(), {"to": "fp8", "optimizer": "sgd:1e-9"}, "run steadygrad check, or take more steps"),
    ],
)
def test_bad_input_gets_one_sentence(model: nn.Module, options: dict[str, Any], words: str) -> None:
    loss = (lambda output, y: output[0].square().mean()) if isinstance(model, nn.Sequential) else F.cross_entropy
    with pytest.raises(SteadygradError, match=words):
        sg.precision(model, data(), loss, **{"optimizer": "adam:3e-3", **options})


def test_an_exception_of_the_model_is_the_user_s() -> None:
    class Fails(Net):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        sg.precision(Fails(), data(), F.cross_entropy, to="fp8")


@pytest.mark.parametrize(
    ("losses", "wanted"),
    [((4.0, 2.0, 1.0), 0.0), ((4.0, 2.0, 1.3), 0.1), ((4.0, 2.0, 0.7), -0.1), ((4.0, math.nan), math.inf)],
)
def test_what_is_missing_of_the_fall(losses: tuple[float, ...], wanted: float) -> None:
    assert behind(losses, (4.0, 2.0, 1.0)) == pytest.approx(wanted)


FILE = """
import torch
from torch import nn


class Net(nn.Module):
    large = 1.0

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 64), nn.Linear(64, 4)
        with torch.no_grad():
            self.first.weight[:, 15] = 0.0
        self.first.weight.register_hook(lambda g: torch.cat([g[:, :15], 0 * g[:, :1]], 1))

    def forward(self, x):
        x = self.first(torch.cat([x[:, :15], self.large + 0 * x[:, :1]], 1))
        return self.last(torch.relu(x))


class Wild(Net):
    large = 1e7


def batch():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    return x, (x @ torch.randn(16, 4)).argmax(1)
"""


@pytest.mark.long
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    options = ["--to", "fp8", "--batch", "net.py:batch", "--optimizer", "adam:1e-3", "--quiet"]
    assert main(["precision", "net.py:Net", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "net.py:Net · fp8 (float8: e4m3, gradients e5m2, scaled per tensor) · Adam, 30"
    assert max(map(len, lines)) <= 80 and lines[-1].startswith("trains in fp8 as it is")
    assert main(["precision", "net.py:Net", *options, "--output-format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["module"] for one in said["operations"]] == ["first", "last"] and said["as_it_is"] is True
    assert main(["precision", "net.py:Wild", *options]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and lines[-1] == "trains in fp8 with 1 operation in bf16"
    assert "error[operations]: 1 operation of 2 must stay in bf16: first; with all of them" in lines
    assert any("-->" in line and "net.py:17:13" in line for line in lines)
    assert main(["precision", "net.py:Net", "--to", "fp6"]) == 2
    assert "give one of bf16, fp16, fp8, mxfp8, nvfp4" in capsys.readouterr().err
