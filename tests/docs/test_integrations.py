"""The page of the integrations: its code runs and prints what it says, its commands parse, its trackers can be made so."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from pathlib import Path

import pytest
import torch

from steadygrad.listen.batch import NAMES, PREFIX
from tests.docs.test_readme import commands, parse

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
NEEDED = ("lightning", "transformers", "accelerate", "ignite", "tensorboard")


def test_the_code_prints_what_its_comments_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NEEDED:
        pytest.importorskip(name, reason=f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "integrations"}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 5
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
