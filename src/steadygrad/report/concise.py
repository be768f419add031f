"""One line a finding, ``path:line:col: CODE message``, for editors and grep; the verdict is the last line.

May rely on the record; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

from steadygrad.record import CheckRecord
from steadygrad.report import words
from steadygrad.report.colour import Color

NAME = "concise"


def render(record: CheckRecord, *, width: int | None = None, color: Color = "never") -> str:
    """The lines, without a newline at the end."""
    lines = [f"{words.place(f)}: {words.clean(f'{f.code} {f.message}')}" for f in words.worst_first(record)]
    return "\n".join([*lines, f"{words.VERDICTS[record.verdict]} · {words.tally(record)}"])
