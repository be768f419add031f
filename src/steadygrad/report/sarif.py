"""SARIF 2.1.0, which code scanning reads: the rules with their pages, the findings at their expressions.

The only file here that wants sarif-pydantic, an optional package (extra ``sarif``). May rely on the record and on the
rules' pages; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from steadygrad.errors import OutputError
from steadygrad.record import CheckRecord, Finding, Location, Severity
from steadygrad.report import words
from steadygrad.report.colour import Color
from steadygrad.report.fingerprints import fingerprints, repository, repository_path
from steadygrad.rules import Rule, load
from steadygrad.version import __version__

NAME = "sarif"

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "steadygrad/v1"

LONGEST_DESCRIPTION = 1000
"""Characters of a rule's full description that code scanning takes."""

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The log as JSON. Raises ``OutputError`` where sarif-pydantic is not installed."""
    try:
        # By name: type checkers need not have it.
        sarif: Any = importlib.import_module("sarif_pydantic")
    except ImportError:
        raise OutputError('sarif needs sarif-pydantic; install it with: pip install "steadygrad[sarif]"') from None
    rules, root = load(), repository()
    driver = {
        "name": "steadygrad",
        "fullName": f"steadygrad {__version__}",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": f"pkg:pypi/steadygrad@{__version__}",
        "rules": [_rule(rule) for rule in rules],
    }
    index = {rule.code: number for number, rule in enumerate(rules)}
    findings = words.worst_first(record)
    marks = fingerprints(findings, root)
    results = [
        _result(one, index.get(one.code), mark, _target(record), root)
        for one, mark in zip(findings, marks, strict=True)
    ]
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": f"steadygrad/{quote(words.clean(record.setup.target or record.setup.model))}/"},
        "results": results,
    }
    log = sarif.Sarif.model_validate({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})
    written: str = log.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    return written


def _rule(rule: Rule) -> dict[str, Any]:
    why = re.search(r"^## Why it matters\n+(.*?)(?=\n\n|\Z)", rule.doc, flags=re.DOTALL | re.MULTILINE)
    full = f"{rule.summary} {' '.join(why[1].split())}" if why else rule.summary
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": full if len(full) <= LONGEST_DESCRIPTION else rule.summary},
        "help": {"text": f"{rule.summary}\n\n{rule.doc}", "markdown": f"# {rule.code}: {rule.name}\n\n{rule.doc}"},
        # Each result brings its own: the same rule warns, or says that training will fail.
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["gradients", "pytorch"], "problem.severity": "warning", "precision": "high"},
    }


def _result(finding: Finding, index: int | None, mark: str, target: str, root: Path) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": _LEVEL[finding.severity],
        "message": {"text": _message(finding)},
        "partialFingerprints": {FINGERPRINT: mark},
    }
    if index is not None:
        result["ruleIndex"] = index
    at = finding.location
    place: dict[str, Any] = _place(at, root) if at else {}
    if at is None and target:
        place = {
            "physicalLocation": {"artifactLocation": _artifact(target, root), "region": {"startLine": 1}},
        }
    if finding.module:
        place["logicalLocations"] = [{"fullyQualifiedName": words.clean(finding.module), "kind": "module"}]
    if place:
        result["locations"] = [place]
    if finding.also:
        result["relatedLocations"] = [
            {"id": number, **_place(other, root), "message": {"text": "Another place of the same cause."}}
            for number, other in enumerate(finding.also, 1)
        ]
    return result


def _message(finding: Finding) -> str:
    """The first sentence stands in lists; the others follow it."""
    at = finding.location
    sentences = [words.clean(finding.message), *([f"{at.cell}, line {at.line}"] if at and at.cell else [])]
    sentences += words.remarks(finding)
    return "\n".join(f"{one.rstrip('.')}." for one in sentences)


def _place(at: Location, root: Path) -> dict[str, Any]:
    region: dict[str, Any] = {
        "startLine": at.line,
        "startColumn": at.column,
        "endLine": at.end_line,
        "endColumn": at.end_column,
    }
    if at.cell:
        # A line of a cell is none of the notebook's file.
        region = {"startLine": 1}
    if at.text:
        region["snippet"] = {"text": at.text.encode(errors="replace").decode()}
    return {"physicalLocation": {"artifactLocation": _artifact(at.file or at.path, root), "region": region}}


def _artifact(path: str, root: Path) -> dict[str, str]:
    shown = repository_path(path, root)
    if Path(shown).is_absolute():
        return {"uri": "file://" + quote(shown.encode(errors="replace"))}
    return {"uri": quote(shown.encode(errors="replace")), "uriBaseId": ROOT}


def _target(record: CheckRecord) -> str:
    """The file that was checked: the place of what has none of its own."""
    path = record.setup.target.rpartition(":")[0] or record.setup.target
    return path if path.endswith((".py", ".ipynb")) else ""
