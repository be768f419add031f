"""What a guarded optimizer asks of whoever made it, and reports to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from steadygrad.detect.symptoms import Symptom
from steadygrad.record.rows import Rows, Updates

if TYPE_CHECKING:
    from steadygrad._guard.one_optimizer import GuardedOptimizer


class Owner(Protocol):
    """Whoever made it: decides, prints and writes."""

    shared: bool
    acts: bool
    rests: bool
    """Whether some steps are not read, of some optimizer."""

    def found(self, one: GuardedOptimizer, symptoms: Sequence[Symptom]) -> None: ...
    def rows(self, one: GuardedOptimizer, rows: Rows) -> None: ...
    def updated(self, one: GuardedOptimizer, seen: Updates) -> None: ...
    def look(self, one: GuardedOptimizer, norm: float) -> None: ...
    def about_to_read(self) -> None: ...
    def has_read(self, one: GuardedOptimizer) -> None: ...
    def stepped(self, one: GuardedOptimizer) -> None: ...
    def stands_aside(self, one: GuardedOptimizer, error: Exception) -> bool: ...
