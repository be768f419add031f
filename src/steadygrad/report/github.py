"""Annotations for a GitHub workflow: the findings appear at their lines in a pull request.

The format is the workflow command ``::error file=…,line=…::message``. May rely on the record; must not know of widths
and colours, which it takes and passes over.
"""

from __future__ import annotations

from pathlib import PurePath

from steadygrad.record import CheckRecord, Finding, Severity
from steadygrad.report import words
from steadygrad.report.colour import Color

NAME = "github"

MOST = 10
"""Annotations of one level that GitHub shows of a step; it drops further ones without a word."""

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """One command a finding, ``MOST`` of a level, then the verdict as a plain line."""
    by_level = {level: [one for one in record.findings if one.severity is level] for level in Severity}
    lines = [_annotation(finding) for found in by_level.values() for finding in found[:MOST]]
    left = sum(len(found[MOST:]) for found in by_level.values())
    last = f"{words.verdict(record)} · {words.tally(record)}"
    return "\n".join(
        [*lines, f"{last} · {left} without an annotation: a step shows {MOST} of a level" if left else last]
    )


def _annotation(finding: Finding) -> str:
    at = finding.location
    properties: dict[str, str | int] = {}
    if at is not None:
        properties = {"file": PurePath(words.shown_path(at.file or at.path)).as_posix()}
        # Columns are shown only for an expression on one line; GitHub drops them otherwise.
        columns = {"col": at.column, "endLine": at.end_line, "endColumn": at.end_column}
        if not at.cell:
            properties |= {"line": at.line} | (columns if at.line == at.end_line else {"endLine": at.end_line})
    properties["title"] = words.clean(f"{finding.code} {finding.name}")
    listed = ",".join(f"{name}={_escape(str(value), more=':,')}" for name, value in properties.items())
    return f"::{_LEVEL[finding.severity]} {listed}::{_escape(_message(finding))}"


def _message(finding: Finding) -> str:
    at = finding.location
    where = finding.module if at is None else f"{at.cell}, line {at.line}" if at.cell else ""
    said = f"{where}: {finding.message}" if where else finding.message
    return "\n".join((words.clean(said), *words.remarks(finding)))


def _escape(text: str, *, more: str = "") -> str:
    """Percent-escaped as the runner reads it: "%" first, line ends, and in properties also ":" and ","."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
