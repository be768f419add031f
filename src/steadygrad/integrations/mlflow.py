"""MLflow: metrics in batches, alarms as tags of the run. Extra ``mlflow``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from steadygrad.integrations import optional
from steadygrad.listen.batch import Batch
from steadygrad.listen.listener import alert_of
from steadygrad.record import Alarm

MOST = 1000
"""Metrics in one call of ``log_batch``."""


class Tracker:
    """Writes into a run of MLflow: the one given, the one that is active, or one of its own.

    Args:
        run_id: Of the run.
        client: ``MlflowClient``; one for the current tracking URI when None, and with it the run that is active there.
        experiment: Name of the experiment for a run of its own.
        name: Of a run of its own.
        layers: A metric for the gradient norm of each parameter too.

    Raises:
        MissingPackageError: mlflow is not installed.
    """

    name = "MLflow"

    def __init__(
        self,
        run_id: str | None = None,
        *,
        client: Any = None,
        experiment: str = "steadygrad",
        name: str | None = None,
        layers: bool = False,
    ) -> None:
        """Take the run, or begin one."""
        mlflow = optional("mlflow", extra="mlflow")
        self._metric = mlflow.entities.Metric
        self._layers = layers
        if run_id is None and client is None and (active := mlflow.active_run()) is not None:
            run_id = active.info.run_id
        self._client = client if client is not None else mlflow.MlflowClient()
        self._own = run_id is None
        self._run: str = run_id if run_id is not None else self._made(experiment, name)
        self.where = f"the MLflow run {self._run} of {self._client.tracking_uri}"

    def rows(self, batch: Batch) -> None:
        """All numbers of all steps, a thousand at a time."""
        metrics = [
            self._metric(_key(name), value, round(1000 * time), step)
            for step, time, known in batch.rows(layers=self._layers)
            for name, value in known.items()
        ]
        for begin in range(0, len(metrics), MOST):
            self._client.log_batch(self._run, metrics=metrics[begin : begin + MOST])

    def alarm(self, alarm: Alarm) -> None:
        """Set a tag, as MLflow has no alerts: ``steadygrad.alarm.1``."""
        alert = alert_of(alarm)
        self._client.set_tag(self._run, f"steadygrad.alarm.{alarm.number}", f"{alert.title}\n{alert.text}")

    def close(self) -> None:
        """Finish a run of its own; leave one that was given open."""
        if self._own:
            self._client.set_terminated(self._run)

    def _made(self, experiment: str, name: str | None) -> str:
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found is not None else self._client.create_experiment(experiment)
        made: str = self._client.create_run(number, run_name=name).info.run_id
        return made


def beginning(place: str | None) -> Callable[[], Tracker]:
    """Return what makes a tracker for a run that begins: the program's own run, else one in the experiment ``place``."""
    optional("mlflow", extra="mlflow")
    return partial(Tracker, experiment=place or "steadygrad")


def new(into: str | None, name: str) -> Tracker:
    """Make a tracker for a recorded run called ``name``, at the tracking URI ``into``."""
    return Tracker(client=optional("mlflow", extra="mlflow").MlflowClient(into), name=name, layers=True)


def _key(name: str) -> str:
    """MLflow takes letters, digits and a few signs."""
    return re.sub(r"[^\w\-. :/]", "_", name)
