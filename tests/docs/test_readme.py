"""README and the pages of docs say what is true: Python runs and prints it, commands are commands, tables hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

import steadygrad as sg
from steadygrad import rules
from steadygrad.act.on_alarm import LIMITS
from steadygrad.cli import group, main
from tests.families import always

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", *PAGES)
}
ELSEWHERE = {"docs/integrations.md": "test_integrations.py"}
"""Pages whose Python another file here runs, and which."""
WITH_PYTHON = [name for name, text in TEXTS.items() if "```python" in text and name not in ELSEWHERE]


def test_readme_and_the_pages_of_guard_and_python_have_code() -> None:
    assert {"README.md", "docs/guard.md", "docs/python.md"} <= set(WITH_PYTHON)


@pytest.mark.long
@pytest.mark.parametrize("name", always(WITH_PYTHON, "README.md", "docs/guard.md", "docs/scale.md"))
def test_the_python_blocks_print_what_their_comments_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "readme"}
    for block in re.findall(r"```python\n(.*?)```", TEXTS[name], flags=re.DOTALL):
        exec(compile(block, name, "exec"), names)
        said = [line.rpartition("  # ")[2].split(":")[0] for line in block.splitlines() if line.startswith("print(")]
        assert capsys.readouterr().out.splitlines() == said


def test_the_alarm_on_the_page_of_the_guard_is_what_its_example_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = TEXTS["docs/guard.md"]
    names: dict[str, Any] = {"__name__": "guard"}
    exec(compile(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0], "train.py", "exec"), names)
    (shown,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    # The numbers, and with them whether a second weight is above its bound, depend on the platform's arithmetic and on when
    # rows were judged; code in a page has no line in a file.
    varies = re.compile(r" \(train\.py:[\d:]+\)|, and \d more weights? spikes? in the same step")
    bare = [re.sub(r"[\d.]+", "#", varies.sub("", text)) for text in (shown, names["lines"][0])]
    assert bare[0].split() == bare[1].split()


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
    assert len(found) >= {
        "README.md": 6,
        "docs/check.md": 14,
        "docs/ci.md": 3,
        "docs/cure.md": 12,
        "docs/guard.md": 12,
    }.get(name, 0)
    for line in found:
        parse(line)


def parse(line: str) -> None:
    """A command line, as click reads it."""
    words = shlex.split(line)[1:]
    command = group.get_command(None, words[0])  # type: ignore[arg-type]
    assert command is not None, line
    if any(parameter.required for parameter in command.params) and len(words) > 1 and words[1].startswith("--"):
        words.insert(1, "net.py")
    if len(words) > 1:
        command.make_context(words[0], words[1:])


def test_the_commands_to_measure_are_there() -> None:
    listed = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    modules = set(re.findall(r"`python -m (bench[\w.]+)", listed + TEXTS["CONTRIBUTING.md"])) - {"bench.NAME"}
    assert len(modules) >= 10
    for path in [ROOT / module.replace(".", "/") for module in modules]:
        program = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert "__main__" in program.read_text(encoding="utf-8"), program


def test_the_folders_that_are_named_are_there() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", TEXTS["CONTRIBUTING.md"], flags=re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`((?:src|bench|docs|tests)/[\w/.]+)`", row)]
    assert len(named) >= 12 and [name for name in named if not (ROOT / name).exists()] == []


def test_the_tables_of_the_guard_name_what_there_is() -> None:
    page = TEXTS["docs/guard.md"]
    coded = dict(re.findall(r"^\| (SG\d{3}) \| ([\w-]+) \|", page, flags=re.MULTILINE))
    assert len(coded) >= 10 and {code: rules.find(code).name for code in coded} == coded
    clips = re.findall(r"^\| `sg\.(Clip\.[^`]+)` \| `([^`]+)` \| `sg\.(\w+)` \|", page, flags=re.MULTILINE)
    assert len(clips) == 6
    for made, parsed, alone in clips:
        assert eval(made, {"Clip": sg.Clip}) == sg.Clip.parse(parsed)
        assert alone in sg.__all__
    told = re.findall(r"^\| `(\w+)` \|.*\| (\d+) in ([\d,]+)", page, flags=re.MULTILINE)
    assert {kind: (int(most), int(within.replace(",", ""))) for kind, most, within in told} == {
        kind: limit for kind, limit in LIMITS.items() if limit[0] and kind != "stop"
    }


def test_every_link_of_a_page_leads_somewhere() -> None:
    pages = [name for name in ("README.md", "CONTRIBUTING.md", *PAGES) if not name.startswith("docs/measured")]
    for name in pages:
        for link in re.findall(r"\]\(([\w/.-]+)(?:#[\w-]+)?\)", TEXTS[name]):
            assert (ROOT / name).parent.joinpath(link).exists(), f"{name}: {link}"


CONSOLE = [block for text in TEXTS.values() for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)]


EXAMPLES = [
    pytest.param(
        block, id=block.splitlines()[0], marks=pytest.mark.long if "grad cure" in block.splitlines()[0] else ()
    )
    for block in CONSOLE
]


@pytest.mark.parametrize("block", EXAMPLES)
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
