"""Text laid out in terminal cells: wrapped, hung, cropped, with wide characters counted as the two cells they take.

May rely on rich's table of cell widths; must not know of records, colours, or what the text says.
"""

from __future__ import annotations

import re
import shutil

from rich.cells import cell_len

NARROWEST = 40
WIDEST_PROSE = 120
"""Without a width of the caller's, a report is no wider than this: longer lines are hard to read."""


def resolve_width(width: int | None) -> int:
    """The caller's width, else the terminal's (80 where there is none), within what can be read."""
    if width is not None:
        return max(NARROWEST, width)
    return max(NARROWEST, min(WIDEST_PROSE, shutil.get_terminal_size((80, 24)).columns))


def fill(text: str, room: int) -> list[str]:
    """The words of ``text`` in lines of at most ``room`` cells; a longer word is broken, a number keeps its %."""
    lines: list[str] = []
    line = ""
    for word in re.split(r" (?!%)", text):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = chop(word, room)
        lines.extend(whole)
    return [*lines, line] if line or not lines else lines


def chop(text: str, room: int) -> list[str]:
    """The text in pieces of at most ``room`` cells (at least one piece)."""
    pieces, piece, used = [], "", 0
    for character in text:
        cells = cell_len(character)
        if used + cells > room and piece:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + character, used + cells
    return [*pieces, piece]


def crop(text: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """Return at most ``room`` cells of ``text`` around the cells ``start`` to ``end``, and where these are now."""
    total = cell_len(text)
    if total <= room:
        return text, start, end
    first = 0
    if end > room - 1:
        first = max(0, min(start - max(1, (room - 2 - (end - start)) // 2), total - room))
    last = first + room
    inner = slice_cells(text, first + (first > 0), last - (last < total))
    shown = f"{'…' if first > 0 else ''}{inner}{'…' if last < total else ''}"
    begin = max(start - first, 0)
    return shown, begin, max(begin + 1, min(end - first, room))


def slice_cells(text: str, first: int, last: int) -> str:
    """Cells ``first`` to ``last``; half of a wide character becomes a space."""
    kept, at = [], 0
    for character in text:
        cells = cell_len(character)
        inside = min(at + cells, last) - max(at, first)
        if cells == 0:
            kept.append(character if first < at <= last else "")
        elif inside > 0:
            kept.append(character if inside == cells else " " * inside)
        at += cells
    return "".join(kept)


def shorten(text: str, room: int) -> str:
    """The text, or its beginning and "…" where it is wider than ``room``."""
    return text if cell_len(text) <= room else slice_cells(text, 0, room - 1) + "…"
