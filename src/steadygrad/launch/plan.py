"""The settings by which a process is watched. Standard library and settings only: it is pickled for children."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steadygrad.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings by which a process of the program is watched; handed on to the processes that it starts."""

    settings: RunSettings
    folder: str
    """Where the program was started: paths are printed, and journals kept, relative to it."""
    began: float
    """Seconds since the epoch."""
    tracker: Callable[[], Any] | None = None
    """Makes the tracker that shows the run live, in the process whose first guard it is for."""
    alone: bool = False
    """Whether the first step is checked in place of the training."""

    def trackers(self, *, wanted: bool) -> list[Any]:
        """The tracker, made now, in a list; none where none was asked for, or none is ``wanted`` here."""
        return [self.tracker()] if wanted and self.tracker is not None else []
