"""The lab's pages say what is true: their commands run, and the experiment that they show how to write is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from steadygrad.cli import main
from steadygrad.lab import load

FOLDER = Path(__file__).parents[2] / "docs" / "lab"
START = (FOLDER / "README.md").read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("command", [one for one in commands(START) if "--all" not in one])
def test_a_command_of_the_first_page_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", START, flags=re.DOTALL)
    (tmp_path / "my.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)[1:]) == (1 if "gain=1.5" in command else 0)
    assert capsys.readouterr().out
    monkeypatch.undo()


def test_every_experiment_has_its_page_and_the_commands_that_its_tests_run() -> None:
    for one in load():
        assert f"[{one.name}]({one.name}.md)" in START
        page = (FOLDER / f"{one.name}.md").read_text(encoding="utf-8")
        assert tuple(commands(page)) == one.commands


def test_the_readme_of_the_project_counts_them() -> None:
    words = {16: "sixteen"}
    changes = (FOLDER.parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"{words[len(load())]} claims of the field" in changes
