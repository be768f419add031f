"""The settings by which a process is watched. Standard library and settings only: it is pickled for children."""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings by which a process of the program is watched; handed on to the processes that it starts."""

    settings: RunSettings
    folder: str
    """Where the program was started: paths are printed, and journals kept, relative to it."""
    began: float
    """Seconds since the epoch."""
    alone: bool = False
    """Whether the first step is checked in place of the training."""
