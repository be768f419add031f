"""The calls between a guarded optimizer and its owner: what it asks for, and what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from steadygrad.detect.incidents import Book
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Alarm
from steadygrad.record.rows import Rows, Updates


class Owner(Protocol):
    """Whoever made it: decides, prints and writes."""

    book: Book
    shared: bool
    acts: bool
    keeps: bool
    """Whether to call it after each step."""
    rests: bool
    """Whether some steps are not read, of some optimizer."""

    def found(self, one: Any, symptoms: Sequence[Symptom]) -> None: ...
    def found_here(self, one: Any, alarms: Sequence[Alarm]) -> None: ...
    def rows(self, one: Any, rows: Rows) -> None: ...
    def updated(self, one: Any, seen: Updates) -> None: ...
    def look(self, one: Any, norm: float) -> None: ...
    def about_to_read(self) -> None: ...
    def stepped(self, one: Any) -> None: ...
    def stands_aside(self, one: Any, error: Exception) -> bool: ...
    def stepped_unseen(self, one: Any) -> None: ...
