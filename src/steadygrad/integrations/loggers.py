"""Lightning's loggers as listeners: those of a tracker write into its run, others get their rows on the trainer's thread."""

from __future__ import annotations

from collections import deque
from typing import Any

from steadygrad import integrations
from steadygrad.listen.batch import Batch
from steadygrad.listen.listener import Listener
from steadygrad.record import Alarm


class RowsForLater:
    """Rows for a logger that is no tracker's: they wait for the trainer's thread, as it may not support another one."""

    def __init__(self, logger: Any) -> None:
        """Start with no rows."""
        self.name = type(logger).__name__
        self._logger = logger
        self._rows: deque[tuple[int, dict[str, float]]] = deque()

    def rows(self, batch: Batch) -> None:
        """Keep them."""
        self._rows.extend((step, known) for step, _, known in batch.rows())

    def alarm(self, alarm: Alarm) -> None:
        """Do nothing: such a logger has no alerts; the terminal shows the alarm."""

    def close(self) -> None:
        """Do nothing: the trainer's thread writes the rest."""

    def write(self) -> None:
        """Hand over what was kept."""
        while self._rows:
            step, known = self._rows.popleft()
            self._logger.log_metrics(known, step=step)


def listener_for(logger: Any) -> Listener:
    """Return the listener that writes into a logger's own run."""
    kind = type(logger).__name__
    if kind == "TensorBoardLogger":
        return integrations.tensorboard.Tracker(logger.experiment)  # type: ignore[no-any-return]
    if kind == "WandbLogger":
        return integrations.wandb.Tracker(logger.experiment)  # type: ignore[no-any-return]
    if kind == "MLFlowLogger":
        return integrations.mlflow.Tracker(logger.run_id, client=logger.experiment)  # type: ignore[no-any-return]
    return RowsForLater(logger)
