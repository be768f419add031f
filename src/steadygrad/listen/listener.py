"""The interface of a listener, and an alarm in the form that leaves the process. Words only; nothing is sent here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from steadygrad.listen.batch import Batch
from steadygrad.record import Alarm
from steadygrad.report.alarms import in_words

PAGES = "STEADYGRAD_DOCS"
"""Environment variable: where the pages of docs/ are served, such as https://docs.example.org/steadygrad."""


@runtime_checkable
class Listener(Protocol):
    """Hears what a run records, in order. Called from one thread, which is never the training's."""

    def rows(self, batch: Batch) -> None:
        """Take steps that were judged."""

    def alarm(self, alarm: Alarm) -> None:
        """Take a new alarm, once for each."""

    def close(self) -> None:
        """Send what is unsent: the run is over, or is no longer watched."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alarm in the words of a tracker's alerts."""

    title: str
    """ "SG206 gradient-spike at step 120"."""
    text: str
    """The line that the terminal shows, and where the rule's page is."""
    level: str
    """ "error", "warning" or "info"."""
    step: int


def alert_of(alarm: Alarm) -> Alert:
    """An alarm as an alert."""
    title = f"{alarm.code} {alarm.name} at step {alarm.step:,}"
    return Alert(title, f"{in_words(alarm)}\n{page_of(alarm.code)}", str(alarm.severity), alarm.step)


def page_of(code: str) -> str:
    """Return the address of the rule's page where ``STEADYGRAD_DOCS`` is set, else the command that prints it."""
    base = os.environ.get(PAGES, "").rstrip("/")
    return f"{base}/rules/{code}.html" if base else f"steadygrad explain {code}"
