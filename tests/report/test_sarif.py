"""The SARIF log: what code scanning asks of it, checked by its own validator where that is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steadygrad import rules
from steadygrad.errors import OutputError
from steadygrad.record import CheckRecord
from steadygrad.report import render
from tests.report import records

pytest.importorskip("sarif_pydantic")


def log(record: CheckRecord) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(render(record, "sarif"))
    return made


def multitool() -> str | None:
    """The validator that the variable names, or that npm put into this folder."""
    unpacked = Path("node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool")
    named = os.environ.get("STEADYGRAD_SARIF_MULTITOOL") or (str(unpacked.resolve()) if unpacked.exists() else None)
    return named if named and os.access(named, os.X_OK) else None


def remarks_of_the_validator(text: str, folder: Path) -> list[str]:
    path = folder / "log.sarif"
    path.write_text(text, encoding="utf-8")
    tool = multitool()
    assert tool is not None
    done = subprocess.run(
        [tool, "validate", str(path), "--rule-kind", "Sarif;Ghas"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
    )
    assert "1 files scanned" in done.stdout, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith(str(path))]


needs_validator = pytest.mark.skipif(multitool() is None, reason="@microsoft/sarif-multitool is not here")


@needs_validator
@pytest.mark.parametrize("name", records.ALL)
def test_the_validator_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    assert remarks_of_the_validator(render(records.ALL[name](), "sarif"), tmp_path) == []


def _no_message(run: dict[str, Any]) -> None:
    del run["results"][0]["message"]


def _wrong_index(run: dict[str, Any]) -> None:
    run["results"][0]["ruleIndex"] = 900


def _backwards(run: dict[str, Any]) -> None:
    run["results"][0]["locations"][0]["physicalLocation"]["region"]["endLine"] = 1


@needs_validator
@pytest.mark.parametrize("spoil", [_no_message, _wrong_index, _backwards])
def test_the_validator_speaks_of_a_broken_log(spoil: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    body = log(records.vanishing())
    spoil(body["runs"][0])
    assert remarks_of_the_validator(json.dumps(body), tmp_path) != []


@pytest.mark.parametrize("name", records.ALL)
def test_a_log_holds_together(name: str) -> None:
    record = records.ALL[name]()
    body = log(record)
    (run,) = body["runs"]
    driver = run["tool"]["driver"]
    assert body["version"] == "2.1.0" and body["$schema"].endswith("sarif-2.1.0.json")
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in rules.load()]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"].endswith(".")
        assert len(rule["fullDescription"]["text"]) <= 1000
        assert rule["help"]["text"] and rule["help"]["markdown"].startswith(f"# {rule['id']}: ")
    assert len(run["results"]) == len(record.findings)
    for result in run["results"]:
        if "ruleIndex" in result:
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        assert len(result["partialFingerprints"]["steadygrad/v1"]) == 32
        for place in (*result["locations"], *result.get("relatedLocations", ())):
            region = place["physicalLocation"]["region"]
            assert (region["startLine"], region.get("startColumn", 1)) <= (
                region.get("endLine", region["startLine"]),
                region.get("endColumn", 1),
            )
            assert "\\" not in place["physicalLocation"]["artifactLocation"]["uri"]


def test_the_expression_is_marked_and_the_other_place_is_related() -> None:
    results = log(records.vanishing())["runs"][0]["results"]
    place = results[0]["locations"][0]
    region = place["physicalLocation"]["region"]
    assert (region["startLine"], region["startColumn"], region["endLine"], region["endColumn"]) == (9, 17, 9, 37)
    assert region["snippet"]["text"] == "torch.sigmoid(fc(x))"
    assert place["logicalLocations"] == [{"fullyQualifiedName": "fcs.0", "kind": "module"}]
    (other,) = results[2]["relatedLocations"]
    assert other["physicalLocation"]["region"]["startLine"] == 11


def test_paths_are_relative_to_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    here = replace(records.SIGMOID, path=str(tmp_path / "deep" / "my net.py"))
    record = replace(records.vanishing(), findings=(replace(records.saturated(), location=here),))
    artifact = log(record)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    monkeypatch.undo()
    assert artifact == {"uri": "deep/my%20net.py", "uriBaseId": "%SRCROOT%"}


def test_what_has_no_place_stands_at_the_file_that_was_checked() -> None:
    record = replace(records.vanishing(), findings=(replace(records.saturated(), location=None),))
    place = log(record)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "net.py" and place["region"] == {"startLine": 1}


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sarif_pydantic", None)
    with pytest.raises(OutputError, match=r"steadygrad\[sarif\]"):
        render(records.vanishing(), "sarif")
