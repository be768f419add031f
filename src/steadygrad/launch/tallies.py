"""The end of a run for one guard, as numbers. Standard library only; reads a guard, and ends it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of one guard at the end of a run."""

    steps: int
    clipped_share: float
    alarms: tuple[Any, ...]
    journal: str | None
    first: tuple[Any, ...] = ()
    """Findings of the first step that are more than information."""
    each: tuple[tuple[str, int], ...] = ()
    """Of several optimizers what each is called, and its steps."""
    unheard: int = 0
    """Steps whose gradients came from no backward pass that was seen."""


@dataclass(slots=True)
class Watched:
    """One guard, as long as it is alive, and what was last known of it."""

    guard: weakref.ref[Any]
    tally: Tally

    def note(self, guard: Any) -> None:
        """Note the numbers of the guard."""
        self.tally = tally_of(guard)


def watched(guard: Any) -> Watched:
    """Watch a guard, whose last numbers are noted when it ends, also where the program drops it."""
    one = Watched(weakref.ref(guard), tally_of(guard))
    guard.ending.then = one.note
    return one


def tally_of(guard: Any) -> Tally:
    first = tuple(one for look in guard.looks if look.step == 1 for one in look.findings if one.severity != "info")
    steps = tuple((name, one.step) for name, one in zip(guard.which, guard.optimizers, strict=True))
    unheard = sum(one.watch.loop.unheard for one in guard.optimizers)
    return Tally(guard.steps, guard.clipped_share, tuple(guard.alarms), guard.journal, first, steps, unheard)


def finished(guard: Any, known: Tally) -> Tally:
    """Read the numbers of a guard at its end: judge what is unread, and close the journal."""
    try:
        guard.detach()
        return tally_of(guard)
    except Exception:
        return known
