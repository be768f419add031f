"""The README says what is true: its Python runs and prints what it says, its commands are commands, its tables hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from steadygrad import cures, rules
from steadygrad.cli import group, main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")}


def test_the_python_blocks_print_what_their_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "readme"}
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
        said = [line.rpartition("  # ")[2].split(":")[0] for line in block.splitlines() if line.startswith("print(")]
        assert capsys.readouterr().out.splitlines() == said


def commands(text: str) -> list[str]:
    """Lines of fenced blocks that begin with steadygrad, and such commands between backquotes."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [
        line.removeprefix("$ ") for kind, block in blocks if kind in ("", "console") for line in block.splitlines()
    ]
    quoted = [one.replace("CODE", "SG102").replace("NAME", "fold") for one in re.findall(r"`(steadygrad [^`]+)`", text)]
    return [line.partition("#")[0] for line in (*lines, *quoted) if line.startswith("steadygrad ")]


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_parses(name: str) -> None:
    found = commands(TEXTS[name])
    assert len(found) >= {"README.md": 20, "CHANGELOG.md": 5, "CONTRIBUTING.md": 0}[name]
    for line in found:
        words = shlex.split(line)[1:]
        command = group.get_command(None, words[0])  # type: ignore[arg-type]
        assert command is not None, line
        if any(parameter.required for parameter in command.params) and len(words) > 1 and words[1].startswith("--"):
            words.insert(1, "net.py")
        if len(words) > 1:
            command.make_context(words[0], words[1:])


def test_the_commands_to_measure_are_there() -> None:
    modules = re.findall(r"`python -m (bench\.\w+)", TEXTS["CONTRIBUTING.md"])
    files = re.findall(r"`python (bench/\w+\.py)", TEXTS["CONTRIBUTING.md"])
    assert len(modules) >= 4 and len(files) >= 2
    for path in [ROOT / module.replace(".", "/") for module in modules]:
        program = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert "__main__" in program.read_text(encoding="utf-8"), program
    for name in files:
        assert "__main__" in (ROOT / name).read_text(encoding="utf-8"), name


def test_the_folders_that_are_named_are_there() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", TEXTS["CONTRIBUTING.md"], flags=re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`((?:src|bench|docs|tests)/[\w/.]+)`", row)]
    assert len(named) >= 12 and [name for name in named if not (ROOT / name).exists()] == []


def test_the_table_of_cures_is_what_the_cures_say() -> None:
    wanted = [f"| {cure.name} | {cure.group} | {cure.safety} | {cure.summary} |" for cure in cures.load()]
    assert [line for line in README.splitlines() if line in wanted] == wanted


def test_the_table_of_rules_names_each() -> None:
    assert [rule.name for rule in rules.load() if rule.name not in README] == []


CONSOLE = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.splitlines()[0])
def test_an_example_is_what_the_command_prints(
    block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    command, *shown = block.splitlines()
    assert main(shlex.split(command.removeprefix("$ "))[1:]) in (0, 1)
    # The numbers depend on the platform's arithmetic in their last digit; the words and the places do not.
    printed = capsys.readouterr().out.splitlines()[: len(shown)]
    assert [re.sub(r"[\d.]+", "#", line).split() for line in printed] == [
        re.sub(r"[\d.]+", "#", line).split() for line in shown
    ]
