"""What a process that is to be watched is told of how. Standard library and settings only: it is pickled for children."""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """How a process of the program is to be watched; goes into the processes that it starts."""

    settings: RunSettings
    folder: str
    """Where the program was started: paths are told, and journals kept, from here."""
    began: float
    """Seconds since the epoch."""
