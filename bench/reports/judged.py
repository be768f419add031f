"""From what was told to what was right: found, cause, line; of a mended script: silent or not. Records as JSON lines.

Knows the table and the record; asks nothing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.reports.kinds import KINDS, WHICH, Kind

RECORD = Path(__file__).parent / "record.jsonl"

Rows = dict[tuple[str, str], dict[str, Any]]
"""By kind and "sick" or "fixed": "trained" (the number that training ends with) and what each way told."""


@dataclass(frozen=True)
class Judged:
    """One sick script, asked in one way."""

    found: bool
    """An error, where the table asks for one; else an error or a warning."""
    warned: bool
    """At least a warning."""
    cause: bool
    """The first finding, error or warning, has a right code."""
    line: bool | None
    """It stands on a marked line; None where no line is marked or the cause is wrong."""
    said: str


def read() -> Rows:
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    return {(row["name"], row["which"]): row for row in map(json.loads, lines)}


def write(rows: Rows) -> None:
    order = [(kind.name, which) for kind in KINDS for which in WHICH]
    lines = [json.dumps(rows[key], ensure_ascii=False) for key in order if key in rows]
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")


def number(value: float) -> float | str:
    """As the record holds it: four digits, words for what JSON has no number for."""
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def as_told(kind: Kind, which: str, trained: float) -> bool:
    """Whether training did what the table says."""
    if which == "fixed":
        return trained >= kind.trains
    return not trained > kind.fails


def judge(kind: Kind, told: dict[str, Any], way: str) -> Judged:
    """A sick script's answer to one way of asking, held against the table."""
    findings = told["findings"]
    found = errors(told) > 0 or (kind.severity == "warning" and warnings(told) > 0)
    first = next(iter(findings), None)
    cause = first is not None and first["code"] in kind.codes
    marked = frozenset() if kind.given and way == "check" else kind.marked()
    line: bool | None = None
    if cause and marked and first is not None:
        line = first["lines"] is not None and not marked.isdisjoint(range(first["lines"][0], first["lines"][1] + 1))
    return Judged(found, bool(findings), cause, line, said(told))


def errors(told: dict[str, Any]) -> int:
    return sum(one["severity"] == "error" for one in told["findings"])


def warnings(told: dict[str, Any]) -> int:
    return sum(one["severity"] == "warning" for one in told["findings"])


def said(told: dict[str, Any]) -> str:
    """The verdict and the first findings, in one line."""
    words = [
        f"{one['severity']} {one['code']}"
        + (f" at line {one['lines'][0]}" if one["lines"] else "")
        + (f", step {one['step']}" if one["step"] > 1 else "")
        + f": {one['message']}"
        for one in told["findings"][:2]
    ]
    return "; ".join([told["verdict"].strip().replace("\n", " "), *words])
