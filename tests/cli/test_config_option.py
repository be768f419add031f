"""``--config``: a file of YAML, JSON or Python as the configuration that a model is built from; and models by name."""

from __future__ import annotations

import json
import sys

import pytest

from steadygrad.cli import main
from tests.families import always

NET = """import dataclasses
import torch
from torch import nn


@dataclasses.dataclass
class Inner:
    width: int = 4


@dataclasses.dataclass
class Settings:
    depth: int = 1
    inner: Inner = dataclasses.field(default_factory=Inner)


def stack(width, depth):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(8, width), *layers, nn.Linear(width, 3))


class Net(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.body = stack(cfg.net.width, cfg["depth"])

    def forward(self, x):
        return self.body(x)


class Typed(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.body = stack(settings.inner.width, settings.depth)

    def forward(self, x):
        return self.body(x)


class Plain(nn.Module):
    def __init__(self, width, depth=1):
        super().__init__()
        self.body = stack(width, depth)

    def forward(self, x):
        return self.body(x)


small = Settings(depth=2)
"""


def size(width: int, depth: int) -> int:
    return 9 * width + depth * (width + 1) * width + 3 * (width + 1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "conf.yaml").write_text("depth: 2\nnet:\n  width: 16\n")
    (tmp_path / "refers.yaml").write_text("size: 16\ndepth: 2\nnet:\n  width: ${size}\n")
    (tmp_path / "typed.yaml").write_text("depth: 3\ninner:\n  width: 16\n")
    (tmp_path / "flat.json").write_text('{"width": 16, "depth": 2}')
    (tmp_path / "hydra.yaml").write_text("defaults:\n  - model: small\ndepth: 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parameters(capsys, *arguments: str) -> int:
    main(["check", *arguments, "--trial", "0", "--output-format", "json"])
    said = capsys.readouterr()
    assert said.out, said.err
    return json.loads(said.out)["setup"]["parameters"]


def error_of(capsys, *arguments: str) -> str:
    assert main(["check", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


CASES = {
    "a file": (("net.py:Net", "--config", "conf.yaml"), size(16, 2)),
    "a file and a field": (("net.py:Net", "--config", "conf.yaml", "--arg", "cfg.depth=4"), size(16, 4)),
    "an object": (("net.py:Typed", "--config", "net.py:small"), size(4, 2)),
    "all arguments": (("net.py:Plain", "--config", "flat.json"), size(16, 2)),
    "all arguments but one": (("net.py:Plain", "--config", "flat.json", "--arg", "depth=4"), size(16, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_builds_the_model(folder, capsys, case):
    arguments, expected = CASES[case]
    assert parameters(capsys, *arguments) == expected


def test_omegaconf_resolves_what_a_file_refers_to(folder, capsys):
    pytest.importorskip("omegaconf", reason="omegaconf is not installed")
    assert parameters(capsys, "net.py:Net", "--config", "refers.yaml") == size(16, 2)


def test_omegaconf_builds_nested_dataclasses(folder, capsys):
    pytest.importorskip("omegaconf", reason="omegaconf is not installed")
    assert parameters(capsys, "net.py:Typed", "--config", "typed.yaml", "--arg", "settings.depth=2") == size(16, 2)


def test_without_omegaconf_a_file_is_read_as_plain_values(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "omegaconf", None)
    assert parameters(capsys, "net.py:Net", "--config", "conf.yaml", "--arg", "cfg.depth=3") == size(16, 3)
    assert 'pip install "steadygrad[config]"' in error_of(capsys, "net.py:Net", "--config", "refers.yaml")


BAD = {
    "no file": (("net.py:Net", "--config", "none.yaml"), "no such configuration: none.yaml"),
    "hydra": (("net.py:Net", "--config", "hydra.yaml"), "only Hydra composes"),
    "nothing takes it": (
        ("net.py:Plain", "--config", "conf.yaml", "--arg", "width=4"),
        "Plain takes no configuration, so conf.yaml",
    ),
    "no model": (("net.py:small", "--config", "conf.yaml"), "small in net.py is Settings"),
    "a wrong field": (("net.py:Typed", "--config", "flat.json"), "cannot read the configuration flat.json"),
    "no model type": (("hf:gpt22",), "did you mean hf:gpt2?"),
    "no name": (("hf:",), "names no model"),
}


@pytest.mark.parametrize("case", always(BAD, "nothing takes it", "no model", "a wrong field", "no name"))
def test_what_cannot_be_used_is_one_sentence(folder, capsys, monkeypatch, case):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if case in ("hydra", "a wrong field"):
        pytest.importorskip("omegaconf", reason="omegaconf is not installed")
    if case in ("no model type", "no name"):
        pytest.importorskip("transformers", reason="transformers is not installed")
    arguments, expected = BAD[case]
    assert expected in error_of(capsys, *arguments)


SMALL = ("--arg", "n_layer=1", "--arg", "n_embd=32", "--arg", "n_head=2", "--arg", "vocab_size=50", "--trial", "0")


@pytest.mark.long
def test_a_model_type_of_transformers_is_built_without_weights(folder, capsys):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    main(["check", "hf:gpt2", *SMALL, "--output-format", "json"])
    setup = json.loads(capsys.readouterr().out)["setup"]
    assert setup["model"] == "GPT2LMHeadModel" and setup["target"] == "hf:gpt2"
    config = transformers.GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=50, architectures=["GPT2Model"])
    config.save_pretrained(folder / "gpt")
    main(["check", "hf:./gpt", "--trial", "0", "--output-format", "json"])
    assert json.loads(capsys.readouterr().out)["setup"]["model"] == "GPT2Model"


def test_a_model_of_timm_is_built_without_weights(folder, capsys):
    try:
        pytest.importorskip("timm", reason="timm is not installed")
    except RuntimeError as error:
        pytest.skip(f"timm cannot be imported: {error}")
    assert parameters(capsys, "timm:resnet18", "--arg", "num_classes=10", "--input", "2,3,64,64") == 11_181_642
    assert "did you mean timm:resnet18?" in error_of(capsys, "timm:resnet81")


@pytest.mark.parametrize(("target", "extra"), [("timm:resnet18", "timm"), ("hf:gpt2", "transformers")])
def test_a_missing_package_names_its_extra(folder, capsys, monkeypatch, target, extra):
    monkeypatch.setitem(sys.modules, extra, None)
    assert f'pip install "steadygrad[{extra}]"' in error_of(capsys, target)
