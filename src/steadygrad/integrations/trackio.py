"""Trackio: a row a step, alarms as alerts. Extra ``trackio``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from steadygrad.integrations import optional
from steadygrad.listen.batch import Batch
from steadygrad.listen.listener import alert_of
from steadygrad.record import Alarm

_LEVELS = {"error": "ERROR", "warning": "WARN", "info": "INFO"}


class Tracker:
    """Writes into a run of Trackio: the one given, the one that is active, or one of its own.

    Args:
        run: What ``trackio.init`` gave.
        project: Of a run of its own.
        name: Of a run of its own.
        layers: A curve for the gradient norm of each parameter too.
        finish: Finish a run that was given at the end, as one of its own is.

    Raises:
        MissingPackageError: trackio is not installed.
    """

    name = "Trackio"

    def __init__(
        self,
        run: Any = None,
        *,
        project: str = "steadygrad",
        name: str | None = None,
        layers: bool = False,
        finish: bool = False,
    ) -> None:
        """Take the run, or begin one."""
        board = optional("trackio", extra="trackio")
        self._alert_level = board.AlertLevel
        self._layers = layers
        active = run if run is not None else board.context_vars.current_run.get()
        self._own = finish or active is None
        self._run: Any = board.init(project=project, name=name) if active is None else active
        self.where = f"the Trackio run {self._run.name} of project {self._run.project}"

    def rows(self, batch: Batch) -> None:
        """One row for each step."""
        for step, _, known in batch.rows(layers=self._layers):
            self._run.log(known, step=step)

    def alarm(self, alarm: Alarm) -> None:
        """Raise an alert, which Trackio shows and sends on."""
        alert = alert_of(alarm)
        level = self._alert_level[_LEVELS[alert.level]]
        self._run.alert(title=alert.title, text=alert.text, level=level, step=alert.step)

    def close(self) -> None:
        """Finish a run of its own; leave one that was given open."""
        if self._own:
            self._run.finish()


def beginning(place: str | None) -> Callable[[], Tracker]:
    """Return what makes a tracker for a run that begins: the program's own run, else one in the project ``place``."""
    optional("trackio", extra="trackio")
    return partial(Tracker, project=place or "steadygrad")


def new(into: str | None, name: str) -> Tracker:
    """Make a tracker for a recorded run called ``name``, in the project ``into``."""
    run = optional("trackio", extra="trackio").init(project=into or "steadygrad", name=name)
    return Tracker(run, layers=True, finish=True)
