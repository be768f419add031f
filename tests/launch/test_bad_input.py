"""What cannot be run or was asked for wrongly: one sentence, exit code 2, and nothing of the user's has run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import one_in
from tests.launch.pairs import SCRIPTS, watched

CASES = {
    "": "nothing to run; write it as steadygrad run train.py or steadygrad run -m package.train",
    "missing.py": "no file 'missing.py' in {cwd}; name a script, or -m package.module",
    "nothing-of-this-name": "no file 'nothing-of-this-name' in {cwd}, and no command of this name on PATH; name a script, or -m package.module",  # noqa: E501
    "-m": "-m names no module; write it as steadygrad run -m package.train",
    "-m no.such": "cannot run -m no.such: Error while finding module specification for 'no.such' (ModuleNotFoundError: No module named 'no')",  # noqa: E501
    "-m nosuch": "cannot run -m nosuch: No module named nosuch",
    "empty": "cannot run the folder empty: it has no __main__.py; name a file, or -m package.module",
    "sh": "/sh is not a script of Python; name the script or module that trains",
    "--every 0 ran.py": "every in the options is 0, expected a whole number, 1 or more",
    "--probe-every -1 ran.py": "probe_every in the options is -1, expected a whole number, 0 or more",
    "--overhead 2 ran.py": "overhead in the options is 2.0, expected a share of a step above 0 and at most 1, such as 0.01",
    "--overhead nan ran.py": "overhead in the options is nan, expected a share of a step above 0 and at most 1, such as 0.01",
    "--cure now ran.py": "cure in the options is 'now', expected \"at-start\"",
    "--on-alarm skp ran.py": "unknown action 'skp' for on_alarm; did you mean skip?",
    "--on-alarm skip:5 ran.py": "on-alarm is 'skip:5', expected KIND:AT_MOST/WITHIN:THEN such as skip:5/100:stop",
    "--journal a.sgj --no-journal ran.py": "--journal and --no-journal contradict each other; give one",
    "--clip nrm:1 ran.py": "unknown clip 'nrm'; did you mean norm:1 or norm:1,inf?",
    "--clip value:1,-1 ran.py": "clip 'value:1,-1': the interval is [1, -1], expected low ≤ high",
}


@pytest.mark.long
@pytest.mark.parametrize("words", one_in(6, CASES))
def test_one_sentence(words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "ran.py").write_text("import torch\nprint('it ran')\n")
    ran = watched(words.split(), tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("steadygrad: error: ")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.endswith(CASES[words].format(cwd=tmp_path) + "\n")


@pytest.mark.long
@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("overhed = 0.1", "unknown setting 'overhed' in [tool.steadygrad.run] in {path}; did you mean overhead?"),
        ("quiet = 1", "quiet in [tool.steadygrad.run] in {path} is 1, expected true or false"),
        ("clip = 1", 'clip in [tool.steadygrad.run] in {path} is 1, expected text such as "norm:1.0"'),
        ("every = true", "every in [tool.steadygrad.run] in {path} is True, expected a whole number, 1 or more"),
    ],
)
def test_a_setting_that_cannot_be(table: str, told: str, tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(f"[tool.steadygrad.run]\n{table}\n")
    (tmp_path / "ran.py").write_text("print('it ran')\n")
    ran = watched(["ran.py"], tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == f"steadygrad: error: {told.format(path=project)}\n"


@pytest.mark.long
def test_settings_of_the_project_hold_and_options_overrule_them(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.steadygrad]\nseed = 1\n[tool.steadygrad.run]\nno-journal = true\nclip = "norm:0.01"\n'
    )
    (tmp_path / "plain.py").write_text((SCRIPTS / "plain.py").read_text())
    ran = watched(["plain.py"], tmp_path)
    assert any("clipped 100%" in line for line in ran.ours)
    assert not (tmp_path / "runs").exists()
    ran = watched(["plain.py"], tmp_path, options=["--clip", "norm:1000000", "--journal", "deep/er/run.sgj"])
    assert any("clipped 0%" in line for line in ran.ours)
    assert (tmp_path / "deep/er/run.sgj").exists()


@pytest.mark.long
def test_a_folder_that_takes_no_journal_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file in the way")
    ran = watched([str(SCRIPTS / "plain.py")], tmp_path)
    assert ran.code == 0
    assert [line for line in ran.ours if "no journal: cannot make the folder" in line]
    assert [line for line in ran.ours if "24 steps" in line]


@pytest.mark.long
def test_a_journal_that_is_none_is_refused_before_the_program_starts(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a file of the user's\n" * 100)
    ran = watched([str(SCRIPTS / "plain.py")], tmp_path, options=["--journal", "notes.txt"])
    assert ran.code == 2 and ran.stdout == ""
    assert "notes.txt is no journal of steadygrad; name another file" in ran.stderr
    assert (tmp_path / "notes.txt").read_text() == "a file of the user's\n" * 100
