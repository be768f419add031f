"""TensorBoard: a scalar a step under ``steadygrad/``, alarms as text. Extra ``tensorboard``."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from steadygrad.integrations import optional
from steadygrad.listen.batch import Batch
from steadygrad.listen.listener import alert_of
from steadygrad.record import Alarm

ALARMS = "steadygrad/alarms"


class Tracker:
    """Writes into a folder of events, or through a ``SummaryWriter`` that there is already.

    Args:
        into: The folder, or the writer, which stays open.
        layers: A curve for the gradient norm of each parameter too.

    Raises:
        MissingPackageError: tensorboard is not installed.

    Example:
        >>> import tempfile, torch, steadygrad as sg
        >>> model = torch.nn.Linear(8, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> logs = sg.integrations.tensorboard.Tracker(tempfile.mkdtemp())
        >>> guard = sg.guard(model, optimizer, trackers=logs, quiet=True)
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     model(torch.randn(32, 8)).square().mean().backward()
        ...     optimizer.step()
        >>> guard.detach()
    """

    name = "TensorBoard"

    def __init__(self, into: str | os.PathLike[str] | Any, *, layers: bool = False) -> None:
        """Open the folder, or take the writer."""
        board = optional("torch.utils.tensorboard", extra="tensorboard")
        self._summary = optional("tensorboard.compat.proto.summary_pb2", extra="tensorboard").Summary
        self._own = isinstance(into, (str, os.PathLike))
        writer: Any = board.SummaryWriter(os.fspath(into)) if self._own else into
        self._writer = writer
        self._layers = layers
        self.where: str = writer.log_dir

    def rows(self, batch: Batch) -> None:
        """Write a scalar for each number of each step, with the time at which it was taken."""
        events, summary = self._writer.file_writer, self._summary
        for step, time, known in batch.rows(layers=self._layers):
            # One event a step, for the time of one ``add_scalar``.
            values = [summary.Value(tag=name, simple_value=value) for name, value in known.items()]
            events.add_summary(summary(value=values), step, walltime=time)

    def alarm(self, alarm: Alarm) -> None:
        """Text at the alarm's step."""
        alert = alert_of(alarm)
        self._writer.add_text(ALARMS, f"**{alert.title}** ({alert.level})\n\n{alert.text}", alert.step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is unwritten; a writer of its own is closed."""
        self._writer.flush()
        if self._own:
            self._writer.close()


def beginning(place: str | None) -> Callable[[], Tracker]:
    """Return what makes a tracker for a run that begins: in the folder ``place``, or in ``logs``."""
    optional("tensorboard.compat.proto.summary_pb2", extra="tensorboard")
    return partial(Tracker, place or "logs")


def new(into: str | None, name: str) -> Tracker:
    """Make a tracker for a recorded run called ``name``: in the folder ``into``, or in ``name.tensorboard``."""
    return Tracker(into or f"{name}.tensorboard", layers=True)
