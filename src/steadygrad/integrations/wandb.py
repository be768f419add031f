"""Weights & Biases: a row a step on an axis of its own, alarms as alerts. Extra ``wandb``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from steadygrad.integrations import optional
from steadygrad.listen.batch import PREFIX, Batch
from steadygrad.listen.listener import alert_of
from steadygrad.record import Alarm

STEP = f"{PREFIX}step"
"""The axis of the curves: the optimizer's step, whatever else the run logs."""

_LEVELS = {"error": "ERROR", "warning": "WARN", "info": "INFO"}
_LONGEST = 63
"""Characters of an alert's title."""


class Tracker:
    """Writes into a run of W&B: the one given, the one that is active, or one of its own.

    A program that gives ``run.log`` its own ``step=`` needs a second run for this: W&B counts a row of ours as a step.

    Args:
        run: What ``wandb.init`` gave.
        project: Of a run of its own.
        name: Of a run of its own.
        layers: A curve for the gradient norm of each parameter too.
        finish: Finish a run that was given at the end, as one of its own is.

    Raises:
        MissingPackageError: wandb is not installed.
    """

    name = "W&B"

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
        board = optional("wandb", extra="wandb")
        self._layers = layers
        active = run if run is not None else board.run
        self._own = finish or active is None
        self._run: Any = board.init(project=project, name=name) if active is None else active
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric(f"{PREFIX}*", step_metric=STEP)
        self.where = f"the W&B run {self._run.name or self._run.id} in {self._run.dir}"

    def rows(self, batch: Batch) -> None:
        """One row for each step."""
        for step, _, known in batch.rows(layers=self._layers):
            self._run.log({**known, STEP: step})

    def alarm(self, alarm: Alarm) -> None:
        """Raise an alert, which W&B sends to the channels that the user has set up."""
        alert = alert_of(alarm)
        self._run.alert(title=alert.title[:_LONGEST], text=alert.text, level=_LEVELS[alert.level])

    def close(self) -> None:
        """Finish a run of its own; leave one that was given open."""
        if self._own:
            self._run.finish()


def beginning(place: str | None) -> Callable[[], Tracker]:
    """Return what makes a tracker for a run that begins: the program's own run, else one in the project ``place``."""
    optional("wandb", extra="wandb")
    return partial(Tracker, project=place or "steadygrad")


def new(into: str | None, name: str) -> Tracker:
    """Make a tracker for a recorded run called ``name``, in the project ``into``."""
    run = optional("wandb", extra="wandb").init(project=into or "steadygrad", name=name)
    return Tracker(run, layers=True, finish=True)
