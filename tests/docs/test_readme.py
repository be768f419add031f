"""The README says what is true: its Python runs and prints what it says, its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from steadygrad.cli import group, main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_python_block_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    said = [line.partition("# ")[2].split(":")[0] for line in block.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said


def test_every_command_parses() -> None:
    lines = [line.partition("#")[0] for line in README.splitlines() if line.startswith("steadygrad ")]
    assert len(lines) >= 7
    for line in lines:
        words = shlex.split(line)[1:]
        command = group.commands.get(words[0]) or group.get_command(None, words[0])  # type: ignore[arg-type]
        assert command is not None, line
        command.make_context(words[0], words[1:])


def test_the_example_at_the_top_is_what_check_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setenv("COLUMNS", "80")
    (block,) = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    command, *shown = block.splitlines()
    assert main(shlex.split(command.removeprefix("$ "))[1:]) == 1
    # The decades depend on the platform's arithmetic in their last digit; the words and the place do not.
    printed = capsys.readouterr().out.splitlines()[: len(shown)]
    assert [re.sub(r"[\d.]+", "#", line) for line in printed] == [re.sub(r"[\d.]+", "#", line) for line in shown]
