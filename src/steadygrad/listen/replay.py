"""A run that was recorded, handed to a listener as if it were live."""

from __future__ import annotations

from steadygrad.listen.batch import read_back
from steadygrad.listen.listener import Listener
from steadygrad.record.run import Run


def replay(run: Run, listener: Listener) -> tuple[int, int]:
    """Hand over all points and alarms of a run, and close the listener. Gives how many of each."""
    points = 0
    for batch in read_back(run):
        listener.rows(batch)
        points += len(batch)
    for alarm in run.alarms:
        listener.alarm(alarm)
    listener.close()
    return points, len(run.alarms)
