"""The user's own expression, marked: a source excerpt in the manner of rustc.

May rely on a location's own copy of its source, never on the file, which may have changed since; must not know what
a finding is.
"""

from __future__ import annotations

from rich.cells import cell_len

from steadygrad.record import Location
from steadygrad.report.colour import Paint
from steadygrad.report.layout import crop, fill
from steadygrad.report.words import clean

KEPT_INDENT = 4
"""Deeper indentation is cut, to leave room for the label."""

TAB = 4

LABEL_ROOM = 30
"""A label stands beside its marks if it has this many cells there; beneath them otherwise."""

MIDDLE_LINES = 3
"""Of a longer expression the lines between are left out."""


def excerpt(at: Location, label: str, *, style: str, gutter: int, width: int, paint: Paint) -> list[str]:
    """The marked source with its line numbers in ``gutter`` cells; nothing where the source is unknown."""
    lines = at.lines
    if not lines:
        return []
    room = width - gutter - 3
    bar = paint(" " * gutter + " |", "gutter")

    def numbered(line: int, text: str) -> str:
        return f"{paint(f'{line:>{gutter}} |', 'gutter')} {text}".rstrip()

    def marked(rows: list[str]) -> list[str]:
        return [f"{bar} {paint(row, style)}" for row in rows]

    texts, offsets = zip(*(expand(line) for line in lines), strict=True)
    start = offsets[0][min(max(at.column - 1, 0), len(offsets[0]) - 1)]
    end = offsets[-1][min(max(at.end_column - 1, 0), len(offsets[-1]) - 1)]
    indents = [cell_len(text) - cell_len(text.lstrip(" ")) for text in texts if text.strip()]
    cut = max(0, min(indents, default=0) - KEPT_INDENT)
    texts = tuple(text[cut:].rstrip() for text in texts)
    start, end = max(start - cut, 0), max(end - cut, 0)

    if len(texts) == 1:
        text, start, end = crop(texts[0], start, max(end, start + 1), room)
        return [bar, numbered(at.line, text), *marked(_attach(" " * start + "^" * (end - start), start, label, room))]

    inner = room - 2
    first, start, _ = crop(texts[0], start, start + 1, inner)
    last, _, end = crop(texts[-1], max(end - 1, 0), max(end, 1), inner)
    rows = [bar, numbered(at.line, "  " + first), *marked([" " + "_" * (start + 1) + "^"])]
    side = paint("|", style)
    middle = list(enumerate(texts[1:-1], at.line + 1))
    for line, text in middle if len(middle) <= MIDDLE_LINES else middle[: MIDDLE_LINES - 1]:
        rows.append(numbered(line, f"{side} {crop(text, 0, 1, inner)[0]}".rstrip()))
    if len(middle) > MIDDLE_LINES:
        rows.append(f"{paint('…'.rjust(gutter) + ' |', 'gutter')} {side}")
    rows.append(numbered(at.end_line, f"{side} {last}"))
    return [*rows, *marked(_attach("|" + "_" * end + "^", 2, label, room))]


def expand(line: str) -> tuple[str, list[int]]:
    """The line without tabs and control characters; the cell where each character starts and the last ends."""
    text, offsets, used = [], [0], 0
    for character in line:
        shown = " " * (TAB - used % TAB) if character == "\t" else clean(character)
        text.append(shown)
        used += cell_len(shown)
        offsets.append(used)
    return "".join(text), offsets


def _attach(marks: str, start: int, label: str, room: int) -> list[str]:
    """The marks with the label beside them, or beneath them where there is too little room."""
    if not label:
        return [marks]
    beside = room - len(marks) - 1
    if cell_len(label) <= beside:
        return [f"{marks} {label}"]
    if beside >= LABEL_ROOM:
        first, *rest = fill(label, beside)
        return [f"{marks} {first}", *(" " * (len(marks) + 1) + line for line in rest)]
    indent = start if room - start >= LABEL_ROOM else max(0, room - min(cell_len(label), 2 * LABEL_ROOM))
    return [marks, *(" " * indent + line for line in fill(label, room - indent))]
