"""What grows with the number of layers: laws against theory, the depth at which training ends, and the cure for branches."""

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
from steadygrad.record.depth import DepthLimit, Law, Training
from steadygrad.scaling.check_depth import DepthScaled, depth_of
from steadygrad.scaling.laws import law, reaches
from steadygrad.scaling.limit import DEEPEST, FINE, following
from steadygrad.subject.subject import Subject, make_subject
from tests.families import always
from tests.scaling.families import TEXT, Transformer, words_loss

BATCH = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 10
DEPTHS = (4, 8, 16, 32)


def plain(activation: type[nn.Module], gain: float = 1.0) -> Callable[[int], nn.Module]:
    def build(depth: int) -> nn.Module:
        layers = [module for _ in range(depth) for module in (nn.Linear(64, 64), activation())]
        model = nn.Sequential(nn.Linear(16, 64), *layers, nn.Linear(64, 10))
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=gain * layer.in_features**-0.5)
                nn.init.zeros_(layer.bias)
        return model

    return build


class Residual(nn.Module):
    """A stream to which each block adds ``scale(depth)`` of its two layers."""

    def __init__(self, depth: int, scale: Callable[[int], float] = lambda depth: 1.0) -> None:
        super().__init__()
        self.scale = scale(depth)
        self.first = nn.Linear(16, 64)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(64)
        self.last = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + self.scale * block(x)
        return self.last(self.norm(x))  # type: ignore[no-any-return]


def found_of(build: Callable[[int], nn.Module], seconds: float = 0.0, depths: tuple[int, ...] = DEPTHS) -> DepthScaled:
    return sg.scale_depth(build, depths, BATCH, F.cross_entropy, optimizer="adam:1e-3", seconds=seconds)


@pytest.mark.long
@pytest.mark.parametrize(
    ("power", "change"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)], ids=["unscaled", "root", "CompleteP"]
)
def test_the_change_of_a_stream_follows_the_factor_of_its_branches(power: float, change: float) -> None:
    found = found_of(lambda depth: Residual(depth, lambda depth: depth**-power))
    assert found.residual and [one.pattern for one in found.layers if one.ends_branch] == [
        "blocks.*.3.weight",
        "blocks.*.3.bias",
    ]
    assert found.change.decades / math.log10(DEPTHS[-1] / DEPTHS[0]) == pytest.approx(change, abs=0.15)
    assert [one.kind for one in found.findings] == ([] if power == 1 else ["rate"])


@pytest.mark.long
def test_a_relu_net_at_half_the_variance_loses_a_seventh_of_a_decade_a_layer() -> None:
    found = found_of(plain(nn.ReLU))
    # Of each layer's energy ReLU leaves half, forwards and backwards (He et al. 2015).
    assert found.gradient.kind == found.activations.kind == "exponential"
    assert found.gradient.value == pytest.approx(-math.log10(2) / 2, abs=0.02)
    assert found.activations.value == pytest.approx(-math.log10(2) / 2, abs=0.02)
    assert {"gradient", "activations"} <= {one.kind for one in found.findings}
    assert not found.residual


@pytest.mark.long
def test_a_relu_net_of_he_keeps_its_gradient() -> None:
    found = found_of(plain(nn.ReLU, 2**0.5))
    assert abs(found.gradient.decades) < 0.5
    assert "gradient" not in {one.kind for one in found.findings}


NETS = {"sigmoid": (nn.Sigmoid, 1.0), "tanh": (nn.Tanh, 0.6)}


@pytest.mark.long
@pytest.mark.parametrize("name", always(NETS, "sigmoid"))
def test_training_ends_where_it_says(name: str) -> None:
    build = plain(*NETS[name])
    found = found_of(build, seconds=60, depths=(2, 4, 8))
    limit = found.limit
    assert limit is not None and limit.trains_at is not None and limit.fails_at is not None
    assert limit.predicted is not None
    # Where it ends by the laws, and where by trainings, overlap, to the factor that neighbouring trainings are apart.
    assert limit.trains_at <= FINE * limit.predicted[1] and limit.predicted[0] <= FINE * limit.fails_at
    torch.manual_seed(0)
    assert _falls(build(limit.trains_at)) > 0.1
    assert _falls(build(limit.fails_at)) < 0.05 and _falls(build(2 * limit.fails_at)) < 0.05


def _falls(model: nn.Module) -> float:
    """1 − loss after ÷ before 100 steps, beside what the label frequencies alone give."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(BATCH[0]), BATCH[1])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return 1 - float(loss.detach()) / math.log(10)


def after_cure(build: Callable[[int], nn.Module], found: DepthScaled) -> DepthScaled:
    def member(depth: int, seed: int) -> Subject:
        seed_torch(seed)
        model = build(depth)
        found.initialise_(model, depth)
        optimizer = torch.optim.Adam(found.groups(model, depth, lr=1e-3))
        return make_subject(model, BATCH, F.cross_entropy, optimizer=optimizer, seed=seed)

    return depth_of(member, DEPTHS, "depth", seconds=0)


@pytest.mark.long
@pytest.mark.parametrize("power", always([0.0, 0.5, 1.0], "0.5"))
def test_the_cure_leaves_nothing_to_grow(power: float) -> None:
    def build(depth: int) -> nn.Module:
        return Residual(depth, lambda depth: depth**-power)

    after = after_cure(build, found_of(build))
    assert after.stable, after
    assert after.change.kind != "power" or abs(after.change.value) < 0.2


@pytest.mark.long
def test_a_transformer_grows_as_its_layers() -> None:
    found = sg.scale_depth(
        lambda layers: Transformer(32, layers=layers), (2, 4, 8, 16), TEXT, words_loss, optimizer="adam:1e-3", seconds=0
    )
    ends = {one.pattern for one in found.layers if one.ends_branch}
    assert {"blocks.*.attention.out.weight", "blocks.*.feed.down.weight"} <= ends
    assert found.change.value == pytest.approx(1.0, abs=0.15)


@given(
    value=st.floats(0.05, 3).flatmap(lambda size: st.sampled_from([size, -size])),
    kind=st.sampled_from(["power", "exponential"]),
    start=st.floats(-5, 5),
)
def test_a_law_is_found_exactly(value: float, kind: str, start: float) -> None:
    logs = [[start + value * (math.log10(depth) if kind == "power" else depth)] * 2 for depth in DEPTHS]
    found = law(DEPTHS, logs)
    assert found.kind == kind and found.value == pytest.approx(value)


def test_an_exponential_law_reaches_a_level_where_it_says() -> None:
    falling = law(DEPTHS, [[-0.5 * depth] for depth in DEPTHS])
    assert reaches(DEPTHS, falling, -20.0) == pytest.approx((40, 40))
    assert reaches(DEPTHS, falling, 1.0) is None
    assert reaches(DEPTHS, Law("power", 1.0, 0.1, ()), 3.0) is None


@given(limit=st.integers(0, 400), predicted=st.one_of(st.none(), st.integers(1, 300)))
def test_the_search_ends_beside_the_limit(limit: int, predicted: int | None) -> None:
    found: dict[int, Training] = {}
    depth: int | None = DEPTHS[-1]
    while depth is not None:
        assert depth not in found and 1 <= depth <= DEEPEST * DEPTHS[-1]
        found[depth] = Training(depth, 0.0, "trains" if depth <= limit else "fails")
        assert len(found) < 20
        depth = following(found, DEPTHS, (predicted, predicted) if predicted else None)
    said = DepthLimit(None, "", tuple(found[depth] for depth in sorted(found)))
    if said.trains_at is not None:
        assert said.fails_at is not None and said.trains_at <= limit < said.fails_at
    else:
        assert limit < 1 or 1 in found


@pytest.mark.parametrize(
    ("build", "depths", "words"),
    [
        (plain(nn.ReLU), (4,), "give at least two depths"),
        (lambda depth: nn.Linear(16, 10), (1, 2), "adds no weights"),
    ],
)
def test_bad_input_gets_one_sentence(build: Callable[[int], nn.Module], depths: tuple[int, ...], words: str) -> None:
    with pytest.raises(SteadygradError, match=words):
        found_of(build, depths=depths)


FILE = """
from torch import nn


def build(layers=4):
    inner = [module for _ in range(layers) for module in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(nn.Linear(8, 16), *inner, nn.Linear(16, 3))
"""


@pytest.mark.long
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    options = ["net.py:build", "--depth", "layers=2,4,8", "--quiet"]
    assert main(["scale", *options]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "net.py:build · layers = 2, 4, 8 · AdamW, 2 seeds"
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("short trainings, layers: ") for line in lines)
    assert main(["scale", *options, "--seconds", "0", "--output-format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["gradient"]["kind"] == "exponential" and said["limit"] is None and said["stable"] is False
    assert main(["scale", "net.py:build"]) == 2
    assert "one of them" in capsys.readouterr().err
