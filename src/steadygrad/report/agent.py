"""For a program that reads and acts, such as a coding agent: short JSON, at most ``MOST_BYTES``, each number with an id.

What stems from the examined program (expressions, names, paths) is a JSON string of bounded length, and the report says
that it is data. May rely on the record; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

from typing import Any

from steadygrad.record import CheckRecord, Finding, to_jsonable
from steadygrad.report import words
from steadygrad.report.colour import Color
from steadygrad.report.facts import limits
from steadygrad.report.headline import headline, next_step
from steadygrad.report.quoted import EXPRESSION, NAMED, QUOTED, SENTENCE, bounded, cut

NAME = "agent"

MOST_BYTES = 6000
"""Of the whole report in UTF-8: some 2,000 tokens."""

MOST_NUMBERS, MOST_CURES, MOST_REMARKS = 6, 5, 6


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The JSON text. Findings that do not fit are counted, the worst are kept."""
    findings = [_finding(one, f"F{number}") for number, one in enumerate(words.worst_first(record), 1)]
    remarks = [f"{name}: {text}" if name else text for name, text in limits(record)]
    body: dict[str, Any] = {
        "tool": "steadygrad",
        "note": QUOTED,
        "verdict": record.verdict.value,
        "model": cut(record.setup.model, NAMED),
        "summary": cut(headline(record), SENTENCE),
        "findings": findings,
        "findings_left_out": 0,
        "limits": [cut(one, SENTENCE) for one in remarks[:MOST_REMARKS]],
        "next": _next(record),
    }
    return bounded(body, MOST_BYTES, "limits", "findings")


def _finding(finding: Finding, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": name,
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "place": cut(words.place(finding), 2 * NAMED),
        "module": cut(finding.module, NAMED),
        "expression": cut(finding.location.text if finding.location else "", EXPRESSION),
        "seen": cut(finding.message, SENTENCE),
        "there": cut(finding.label, SENTENCE),
        "effect": cut(finding.consequence, SENTENCE),
        "places": finding.count,
        "evidence": [
            {
                "id": f"{name}.E{number}",
                "name": cut(one.name, NAMED),
                "value": to_jsonable(one.value),
                "unit": one.unit,
                "expected": cut(one.expected, NAMED),
            }
            for number, one in enumerate(finding.evidence[:MOST_NUMBERS], 1)
        ],
        "cures": [{"name": one.name, "what": cut(one.why, SENTENCE)} for one in finding.cures[:MOST_CURES]],
        "page": f"steadygrad explain {finding.code}",
    }
    return {key: value for key, value in told.items() if value not in ("", [])}


def _next(record: CheckRecord) -> str:
    """The command, whole or not at all: half of one is another command."""
    command = next_step(record)
    return command if len(command) <= 4 * NAMED else "steadygrad cure TARGET, with the options of this check"
