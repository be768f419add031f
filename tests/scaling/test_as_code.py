"""The cure as a module of the user's own: it needs torch alone, and does what the result itself does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.cli import main
from steadygrad.scaling.as_code import MARK, module
from tests.families import always
from tests.scaling.families import TEXT, Transformer, words_loss

BATCH = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 10


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu(self.up(self.norm(x))))  # type: ignore[no-any-return]


def net(width: int = 16, layers: int = 2) -> nn.Module:
    blocks = nn.Sequential(*(Block(width) for _ in range(layers)))
    return nn.Sequential(nn.Linear(16, width), blocks, nn.LayerNorm(width), nn.Linear(width, 10))


def loaded(text: str) -> ModuleType:
    made = ModuleType("cure")
    exec(compile(text, "cure.py", "exec"), made.__dict__)
    return made


def alike(found: Any, build: Callable[[int], nn.Module], size: int) -> bool:
    """Whether the module's two functions leave the same weights and give the same groups as those of the result."""
    own = loaded(found.as_code())
    torch.manual_seed(0)
    ours = build(size)
    torch.manual_seed(0)
    theirs = build(size)
    found.initialise_(ours, size)
    own.initialise_(theirs, size)
    names = [{id(p): name for name, p in model.named_parameters()} for model in (ours, theirs)]
    rates = [
        {name[id(p)]: group["lr"] for group in groups for p in group["params"]}
        for name, groups in zip(
            names, (found.groups(ours, size, lr=0.1), own.groups(theirs, size, lr=0.1)), strict=True
        )
    ]
    same = all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    return same and rates[0] == rates[1] and len(set(rates[0].values())) > 1


@pytest.mark.parametrize("optimizer", always(["adam:1e-3", "sgd:0.1"], "sgd:0.1"))
def test_over_width_the_module_does_what_the_result_does(optimizer: str) -> None:
    found = sg.scale(net, (16, 32, 64), BATCH, F.cross_entropy, optimizer=optimizer)
    assert alike(found, net, 128)


def test_over_depth_as_well() -> None:
    def build(layers: int) -> nn.Module:
        return net(16, layers)

    found = sg.scale_depth(build, (2, 4, 8), BATCH, F.cross_entropy, optimizer="adam:1e-3", seconds=0)
    assert alike(found, build, 12)
    assert '"1.*.down.weight": (-1, -1)' in found.as_code()


@pytest.mark.long
def test_multipliers_of_the_model_itself_are_named() -> None:
    def build(width: int) -> nn.Module:
        model = Transformer(width, power=0.5)
        model.head.weight = model.embed.weight
        return model

    found = sg.scale(build, (64, 128, 256), TEXT, words_loss, optimizer="adam:1e-3")
    own = loaded(found.as_code())
    size = 512
    assert {name: (size / 64) ** power for name, power in own.MULTIPLIERS.items()} == found.multipliers(size)
    assert own.MULTIPLIERS


def test_names_that_differ_by_a_number_are_one_only_where_they_are_alike() -> None:
    text = module(
        "width", 8, {"a.0.w": (0, -1), "a.1.w": (0, -1), "b.0.w": (0, -1), "b.1.w": (0, 0), "c": (0, 0)}, {}, ""
    )
    assert list(loaded(text).POWERS) == ["a.*.w", "b.0.w"]


@pytest.mark.parametrize(
    ("argument", "name"), [("config.hidden", "hidden"), ("number of layers", "size"), ("class", "size")]
)
def test_the_size_has_the_name_of_the_argument_where_python_allows_it(argument: str, name: str) -> None:
    text = module(argument, 8, {"c": (-1, 0)}, {}, "net.py\nimport os")
    assert f"def initialise_(model, {name}):" in text and "\nimport os" not in text
    loaded(text)


def test_a_frozen_weight_stays_as_it_is() -> None:
    own = loaded(module("width", 8, {"0.weight": (-1, 0), "1.weight": (-1, 0)}, {}, ""))
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight.requires_grad_(False)
    before = [layer.weight.detach().clone() for layer in model]
    own.initialise_(model, 16)
    assert torch.equal(model[0].weight, before[0] / 2) and torch.equal(model[1].weight, before[1])


FILE = """
from torch import nn


def build(hidden=64):
    return nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 3))
"""

USE = """
import sys, torch
from cure import groups, initialise_
from net import build

model = build(512)
initialise_(model, 512)
optimizer = torch.optim.Adam(groups(model, 512, lr=1e-3))
assert "steadygrad" not in sys.modules
print(sorted(round(group["lr"], 9) for group in optimizer.param_groups))
"""


@pytest.mark.long
def test_the_command_writes_a_file_that_a_program_imports_without_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(FILE)
    (tmp_path / "use.py").write_text(USE)
    monkeypatch.chdir(tmp_path)
    options = ["scale", "net.py:build", "--width", "hidden=32,64,128", "--seeds", "1", "--quiet"]
    assert main([*options, "--write", "net.py"]) == 2
    assert "net.py exists and was not written by steadygrad scale" in capsys.readouterr().err
    assert main([*options, "--write", "cure.py"]) == main([*options, "--write", "cure.py"]) == 1
    assert "wrote cure.py" in capsys.readouterr().err
    assert (tmp_path / "cure.py").read_text().startswith(f"{MARK} net.py:build at hidden = 32, 64, 128, AdamW.")
    done = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"[{1e-3 / 16:.9f}, 0.001]".replace("0.000062500", "6.25e-05")
