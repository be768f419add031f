"""The whole record as JSON, version 1; ``schema-v1.json`` beside this file describes it.

May rely on the record, which writes itself; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

from steadygrad.record import CheckRecord
from steadygrad.report.colour import Color

NAME = "json"


def render(record: CheckRecord, *, width: int | None = None, color: Color = "never") -> str:
    """The JSON text, indented; ``CheckRecord.from_json`` reads it back."""
    return record.to_json()
