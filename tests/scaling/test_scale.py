"""What grows with width: exponents against theory, flaws at their lines, and the cure that leaves nothing to grow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.cli import main
from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import SteadygradError
from steadygrad.record.scale import WeightScale
from steadygrad.scaling.check_scale import Scaled, scale_of
from steadygrad.scaling.fit import exponent
from steadygrad.subject.subject import Subject, make_subject

SIZES = (128, 256, 512)
BATCH = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 10
THEORY = {"adam:1e-3": (0.0, 1.0, 1.0), "sgd:0.01": (-0.5, 0.5, 1.0)}
"""Exponents of the updates of an input, a hidden and an output weight at 1/√fan-in (Yang et al. 2022, table 1 and appendix J)."""


class Net(nn.Module):
    """Three layers without biases, so that theory is exact as the width grows."""

    def __init__(self, width: int, deviation: Callable[[int], float] = lambda width: width**-0.5) -> None:
        super().__init__()
        self.first = nn.Linear(16, width, bias=False)
        self.middle = nn.Linear(width, width, bias=False)
        self.last = nn.Linear(width, 10, bias=False)
        for layer in (self.first, self.middle, self.last):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        nn.init.normal_(self.middle.weight, std=deviation(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.middle(torch.tanh(self.first(x))))
        return self.last(x)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """One attention of four heads over six tokens; the exponent of the head's size is 0.5 as usual, or 1."""

    def __init__(self, width: int, power: float) -> None:
        super().__init__()
        self.width, self.power = width, power
        self.query, self.key, self.value = (nn.Linear(16, width) for _ in range(3))
        self.last = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(x).view(len(x), 6, 4, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        scale = 32 ** (self.power - 0.5) / query.shape[-1] ** self.power
        mixed = F.scaled_dot_product_attention(query, key, value, scale=scale)
        return self.last(mixed.transpose(1, 2).reshape(len(x), 6, -1).mean(1))  # type: ignore[no-any-return]


def by_name(found: Scaled) -> dict[str, WeightScale]:
    return {one.name: one for one in found.weights}


@pytest.mark.parametrize("optimizer", THEORY)
def test_exponents_are_those_of_theory(optimizer: str) -> None:
    found = sg.scale(Net, SIZES, BATCH, F.cross_entropy, optimizer=optimizer)
    weights = by_name(found)
    assert [one.role for one in found.weights] == ["input", "hidden", "output"]
    for name, wanted in zip(("first.weight", "middle.weight", "last.weight"), THEORY[optimizer], strict=True):
        # Widths are finite: 0.1 of a doubling is left to that.
        assert weights[name].update.value == pytest.approx(wanted, abs=0.1), name
        assert weights[name].output.value == pytest.approx(0.0, abs=0.1), name


@pytest.mark.parametrize("optimizer", THEORY)
def test_the_cure_leaves_nothing_to_grow(optimizer: str) -> None:
    found = sg.scale(Net, SIZES, BATCH, F.cross_entropy, optimizer=optimizer)
    rate = float(optimizer.partition(":")[2])
    kind = torch.optim.Adam if found.adaptive else torch.optim.SGD

    def member(size: int, seed: int) -> Subject:
        seed_torch(seed)
        model = Net(size)
        found.initialise_(model, size)
        groups = found.groups(model, size, lr=rate)
        return make_subject(model, BATCH, F.cross_entropy, optimizer=kind(groups), seed=seed)

    after = scale_of(member, SIZES, "width")
    assert not after.findings, after
    assert all(abs(one.update.value) < 0.15 for one in after.weights)


def test_the_smallest_size_stays_as_it_is() -> None:
    found = sg.scale(Net, SIZES, BATCH, F.cross_entropy, optimizer="adam:1e-3")
    model = Net(SIZES[0])
    before = [p.detach().clone() for p in model.parameters()]
    found.initialise_(model, SIZES[0])
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    (group,) = found.groups(model, SIZES[0], lr=0.1)
    assert group["lr"] == 0.1 and len(group["params"]) == 3


def test_an_initialisation_that_forgets_the_fan_in_is_named_at_its_line() -> None:
    found = sg.scale(lambda width: Net(width, lambda _: 0.1), SIZES, BATCH, F.cross_entropy, optimizer="adam:1e-3")
    (flaw,) = [one for one in found.findings if one.kind == "initialisation"]
    assert flaw.weights == ("middle.weight",) and flaw.exponent == pytest.approx(0.5, abs=0.1)
    assert flaw.location is not None and flaw.location.source[flaw.location.column - 1 :].startswith("self.middle(")


@pytest.mark.parametrize(("power", "wanted"), [(0.5, 0.0), (1.0, -0.5)])
def test_the_division_of_the_logits_is_measured(power: float, wanted: float) -> None:
    batch = torch.randn(32, 6, 16), torch.arange(32) % 10
    found = sg.scale(lambda width: Attention(width, power), SIZES, batch, F.cross_entropy, optimizer="adam:1e-3")
    (attention,) = found.attentions
    assert attention.heads == (32, 64, 128) and attention.queries == "query.weight"
    assert attention.logits.value == pytest.approx(wanted, abs=0.1)
    assert [one.kind for one in found.findings if one.kind == "attention"] == (["attention"] if power == 0.5 else [])


@given(
    power=st.floats(-3, 3),
    factor=st.floats(1e-6, 1e6),
    sizes=st.lists(st.integers(2, 10_000), min_size=2, max_size=6, unique=True),
)
def test_a_power_law_is_found_exactly(power: float, factor: float, sizes: list[int]) -> None:
    found = exponent(sizes, [[factor * size**power] * 2 for size in sizes])
    assert found.value == pytest.approx(power, abs=1e-6) and found.error == pytest.approx(0.0, abs=1e-6)


def test_what_was_not_measured_has_no_exponent() -> None:
    assert math.isnan(exponent((2, 4), [[0.0], [math.nan]]).value)
    assert math.isnan(exponent((2, 4), [[1.0], [math.inf]]).value)


@pytest.mark.parametrize(
    ("build", "sizes", "words"),
    [
        (Net, (64,), "give at least two sizes"),
        (lambda depth: nn.Sequential(*(nn.Linear(16, 16) for _ in range(depth))), (1, 2), "wider, not deeper"),
        (lambda seed: nn.Linear(16, 10), (1, 2), "changes the shape of no weight"),
    ],
)
def test_bad_input_gets_one_sentence(build: Callable[[int], nn.Module], sizes: tuple[int, ...], words: str) -> None:
    with pytest.raises(SteadygradError, match=words):
        sg.scale(build, sizes, BATCH, F.cross_entropy)


def normed(width: int) -> nn.Module:
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(16, width)), nn.ReLU(), norm(nn.Linear(width, 10)))


def test_weights_that_a_layer_s_weight_is_computed_from_are_not_judged() -> None:
    found = sg.scale(normed, (16, 32), BATCH, F.cross_entropy, optimizer="adam:1e-3", seeds=1)
    assert {name for name, _ in normed(16).named_parameters() if "parametrizations" in name} == set(found.computed)
    assert not found.findings
    assert "not judged: 0.parametrizations.weight.original1 and 3 more" in str(found).replace("\n", " ")


def test_an_exception_of_the_model_is_the_user_s() -> None:
    def build(width: int) -> nn.Module:
        raise ValueError("no such width")

    with pytest.raises(ValueError, match="no such width"):
        sg.scale(build, SIZES, BATCH, F.cross_entropy)


FILE = """
from torch import nn


def build(hidden=64):
    return nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 3))
"""


@pytest.mark.long
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    options = ["net.py:build", "--width", "hidden=64,128,256", "--quiet"]
    assert main(["scale", *options]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "net.py:build · hidden = 64, 128, 256 · AdamW, 3 steps, 2 seeds"
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("error[rate]: ") for line in lines) == 2
    assert main(["scale", *options, "--output-format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    matrices = [one["role"] for one in said["weights"] if one["name"].endswith("weight")]
    assert matrices == ["input", "hidden", "output"] and said["stable"] is False
    assert main(["scale", "net.py:build", "--width", "hidden=64"]) == 2
    assert "write it as --width hidden=64,128,256" in capsys.readouterr().err


CONFIGURED = """
from dataclasses import dataclass
from torch import nn


@dataclass
class Config:
    hidden: int = 64
    inner: int = 128


class Net(nn.Sequential):
    def __init__(self, config: Config):
        layers = nn.Linear(8, config.hidden), nn.Linear(config.hidden, config.inner), nn.Linear(config.inner, 3)
        super().__init__(*layers)
"""


def test_a_field_of_a_configuration_grows_and_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(CONFIGURED)
    monkeypatch.chdir(tmp_path)
    both = ["--width", "config.hidden=64,128", "--width", "config.inner=128,256", "--quiet", "--output-format", "json"]
    assert main(["scale", "net.py:Net", *both]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["argument"] == "config.hidden" and said["sizes"] == [64, 128]
    roles = [one["role"] for one in said["weights"] if one["name"].endswith("weight")]
    assert roles == ["input", "hidden", "output"]
    assert main(["scale", "net.py:Net", "--width", "config.hidden=64,128", "--width", "config.inner=128,256,512"]) == 2
    assert "give as many of each" in capsys.readouterr().err
