"""What a finding is put together from: the other places of an expression, shares and sentences as text.

Knows records; judges nothing.
"""

from __future__ import annotations

from steadygrad.record import Location, Operation


def other_places(operation: Operation | None) -> tuple[Location, ...]:
    """Where else the operation is known from: the construction where the call is marked, and the reverse."""
    if operation is None:
        return ()
    return tuple(p for p in (operation.call, operation.construction) if p is not None and p != operation.location)


def sentence(*parts: str) -> str:
    """The parts that say something, joined."""
    return "; ".join(part for part in parts if part)
