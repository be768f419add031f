"""What was told of each architecture, as JSON lines, and its counts. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "record.jsonl"

Rows = dict[tuple[str, str], dict[str, Any]]
"""By library and name: parameters, seconds, verdict, findings (errors and warnings), and where there are any ``losses``: mean
training loss of the first ten steps and of the last ten."""


def read() -> Rows:
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    return {(row["library"], row["name"]): row for row in map(json.loads, lines)}


def write(rows: Rows) -> None:
    RECORD.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows.values()), encoding="utf-8")


def totals(rows: Rows) -> list[str]:
    """One line a library."""
    lines = []
    for library in sorted({library for library, _ in rows}):
        verdicts = [row["verdict"] for (own, _), row in rows.items() if own == library]
        counted = ", ".join(
            f"{verdicts.count(verdict)} {verdict}" for verdict in ("healthy", "at risk", "will not train")
        )
        lines.append(f"{library}: {len(verdicts)} architectures, {counted}")
    return lines


def alarms(rows: Rows) -> list[str]:
    """Each that was called anything but healthy, with what was told and what training did."""
    return [
        f"{name} ({library}), {row['verdict']}: {'; '.join(row['findings'])}. Training took its loss from {row['losses'][0]} "
        f"to {row['losses'][1]}."
        for (library, name), row in rows.items()
        if row["findings"]
    ]
