"""The page of the integrations: its code runs and prints what it says, its commands parse, its trackers can be made so."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.listen.batch import NAMES, PREFIX
from tests.docs.test_readme import commands, parse

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
NEEDED = ("lightning", "transformers", "accelerate", "ignite", "tensorboard")


@pytest.mark.long
def test_the_code_prints_what_its_comments_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NEEDED:
        pytest.importorskip(name, reason=f"{name} is not installed")
    assert len(BLOCKS) == 6
    _run([block for block in BLOCKS if "fastai" not in block], capsys, tmp_path, monkeypatch)


def test_the_code_for_fastai_prints_what_its_comments_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastai", reason="fastai is not installed: it needs torchvision")
    x = torch.randn(320, 8)
    loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)
    names = {"torch": torch, "nn": nn, "F": F, "loader": loader, "sg": sg}
    _run([block for block in BLOCKS if "fastai" in block], capsys, tmp_path, monkeypatch, names)


def _run(
    blocks: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: dict[str, object] | None = None,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = {"__name__": "integrations", **(names or {})}
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(block, "integrations.md", "exec"), names)
        said = [line.rpartition("  # ")[2].split(":")[0] for line in block.splitlines() if line.startswith("print(")]
        shown = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{'")]
        assert shown == said


def test_the_commands_parse() -> None:
    found = commands(PAGE)
    assert len(found) >= 8
    for line in found:
        parse(line)


def test_the_trackers_can_be_made_as_the_table_says() -> None:
    rows = re.findall(r"^\| .* \| `sg\.integrations\.(\w+)\.Tracker\((.*)\)` \|", PAGE, flags=re.MULTILINE)
    assert [name for name, _ in rows] == ["tensorboard", "wandb", "mlflow", "trackio"]
    for name, given in rows:
        tracker = importlib.import_module(f"steadygrad.integrations.{name}").Tracker
        inspect.signature(tracker).bind(*([given] if given else []))


def test_the_names_in_a_tracker_are_those_of_the_table() -> None:
    named = re.findall(r"^\| `(steadygrad/\w+)` \|", PAGE, flags=re.MULTILINE)
    assert set(named) == {f"{PREFIX}{name}" for name in (*NAMES, "loss")}
