"""Loaders and clips on the command line: ``--batch file.py:loader`` and ``--clip``, for every command that steps copies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steadygrad.cli import main

DATA = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(640, 16)
y = x[:, :3].argmax(1)
loader = DataLoader(TensorDataset(x, y), 32, shuffle=True)
pairs = list(zip(x.split(32), y.split(32)))
batch = x[:32], y[:32]


def make_loader():
    return loader


def by_step(step):
    at = 32 * step % 608
    return x[at : at + 32], y[at : at + 32]


def make_batch():
    return batch


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))


class Deep(nn.Sequential):
    def __init__(self):
        layers = [part for _ in range(12) for part in (nn.Linear(16, 16), nn.Sigmoid())]
        super().__init__(*layers, nn.Linear(16, 3))
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "data.py").write_text(DATA)
    return str(tmp_path / "data.py")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loader", "fresh ones of DataLoader"),
        ("make_loader", "fresh ones of DataLoader"),
        ("pairs", "fresh ones of list"),
        ("by_step", "fresh ones of by_step(step)"),
        ("batch", ""),
        ("make_batch", ""),
    ],
)
def test_what_batches_may_be(name: str, words: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "check",
        f"{file}:Net",
        "--batch",
        f"{file}:{name}",
        "--loss",
        "cross_entropy",
        "--optimizer",
        "adam:1e-2",
    ]
    assert main([*command, "--output-format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert words in told["setup"]["batch"]
    assert (told["trial"]["unseen"] is not None) == bool(words)
    assert bool(told["notes"]) != bool(words), "with one batch it says what it cannot see"


@pytest.mark.parametrize("name", ["nothing", "Net"])
def test_what_is_no_batch_is_one_sentence(name: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{file}:Net", "--batch", f"{file}:{name}", "--loss", "cross_entropy"]) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1 and "Traceback" not in error


@pytest.mark.long
def test_every_command_takes_a_loader(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"{file}:Deep", "--batch", f"{file}:loader", "--loss", "cross_entropy", "--optimizer", "adam:1e-3"]
    assert main(["cure", *given, "--only", "fold", "--output-format", "json"]) == 0
    cured = json.loads(capsys.readouterr().out)
    assert cured["before"]["verdict"] == "will not train" and cured["after"]["verdict"] == "healthy"
    assert main(["prove", *given, "--only", "fold", "--steps", "40", "--output-format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "fresh batches of DataLoader"
    assert main(["lr", *given, "--steps", "10"]) == 0


def test_the_clip_of_the_loop(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"{file}:Net", "--batch", f"{file}:batch", "--loss", "cross_entropy", "--optimizer", "sgd:1e4"]
    assert main(["check", *given, "--quiet"]) == 1
    assert main(["check", *given, "--clip", "norm:1e-5", "--output-format", "json"]) == 0
    out = capsys.readouterr().out
    told = json.loads(out[out.index("{") :])
    assert told["setup"]["optimizer"] == "SGD, learning rate 1e+04, clip norm:1e-05"
    assert main(["check", *given, "--clip", "nurm:1"]) == 2
    assert "nurm" in capsys.readouterr().err
