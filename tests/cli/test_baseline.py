"""``--baseline``: what is known is neither printed nor fails; an edit elsewhere makes nothing new of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.cli.test_check import SICK


@pytest.fixture
def sick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sick.py").write_text(SICK)
    return tmp_path


def check(*more: str) -> int:
    return main(["check", "sick.py:Net", "--trial", "10", "--output-format", "concise", *more])


def test_only_what_is_new_fails(sick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 1
    assert check("--baseline", "known.json", "--update-baseline") == 0
    said = capsys.readouterr()
    assert "baseline known.json: " in said.err and " 0 taken out" in said.err
    assert check("--baseline", "known.json") == 0
    assert "SG102" not in capsys.readouterr().out

    (sick / "sick.py").write_text("# A comment moves every line.\n\n" + SICK)
    assert check("--baseline", "known.json") == 0

    (sick / "sick.py").write_text(SICK.replace("torch.sigmoid(fc(x))", "torch.sigmoid(1.0 * fc(x))"))
    assert check("--baseline", "known.json") == 1
    assert "SG102" in capsys.readouterr().out
    assert check("--baseline", "known.json", "--update-baseline") == 0
    assert " 0 taken out" not in capsys.readouterr().err


def test_the_file_is_sorted_holds_no_lines_and_keeps_other_targets(sick: Path) -> None:
    other = {"target": "a.py:Net", "code": "SG101", "path": "a.py", "text": "x", "fingerprint": "0"}
    (sick / "known.json").write_text(json.dumps({"version": 1, "findings": [other]}))
    check("--baseline", "known.json", "--update-baseline")
    text = (sick / "known.json").read_text()
    rows = json.loads(text)["findings"]
    assert other in rows and len(rows) > 1
    assert rows == sorted(rows, key=lambda row: (row["target"], row["code"], row["path"]))
    assert all(set(row) == {"target", "code", "path", "text", "fingerprint"} for row in rows)
    check("--baseline", "known.json", "--update-baseline")
    assert (sick / "known.json").read_text() == text


def test_the_settings_name_it_from_their_own_folder(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sick / "pyproject.toml").write_text('[tool.steadygrad]\nbaseline = "known.json"\n')
    (sick / "below").mkdir()
    monkeypatch.chdir(sick / "below")
    assert main(["check", "../sick.py:Net", "--trial", "10", "--update-baseline"]) == 0
    assert (sick / "known.json").is_file()
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "--update-baseline makes it"),
        ("[]", "expected"),
        ("{", "cannot read"),
        ('{"version":1,"findings":[1]}', "lacks"),
    ],
)
def test_a_file_that_is_no_baseline_is_named(
    sick: Path, text: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (sick / "known.json").write_text(text)
    assert check("--baseline", "known.json") == 2
    assert said in capsys.readouterr().err


def test_an_update_needs_a_file(sick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--update-baseline") == 2
    assert "--baseline FILE" in capsys.readouterr().err
