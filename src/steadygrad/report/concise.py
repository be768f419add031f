"""One line a finding, ``path:line:col: severity CODE message``, for editors and grep; the verdict is the last line.

May rely on the record; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

from steadygrad.record import CheckRecord
from steadygrad.report import words
from steadygrad.report.colour import Color

NAME = "concise"


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The lines, without a newline at the end."""
    return "\n".join([*findings(record), f"{words.verdict(record)} · {words.tally(record)}"])


def findings(record: CheckRecord) -> list[str]:
    """The lines of the findings alone, worst first."""
    return [
        f"{words.place(f)}: {words.clean(f'{f.severity.value} {f.code} {f.message}')}"
        for f in words.worst_first(record)
    ]
