"""The judgement of a process's own loss where several train one model: that process reports it, none acts on it.

Each rank has the loss of its own batch. What all do together (judging, explaining, acting) must come to the same on all of
them, or some would wait for the others for ever; so losses are judged beside it, on each rank by itself and without a word
to the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from steadygrad.detect.history import TRAIL, State
from steadygrad.detect.incidents import QUIET, Book, close_quiet, gather, is_sudden
from steadygrad.detect.judge import logs
from steadygrad.detect.losses import judge_losses
from steadygrad.record import Alarm
from steadygrad.record.rows import Columns, Rows
from steadygrad.report.alarms import advice
from steadygrad.watch.distributed import rank


class OwnLoss:
    """The losses of one optimizer's steps in this process."""

    def __init__(self, columns: Columns, index: int) -> None:
        self.book = Book()
        self._state = State(columns)
        self._index = index

    def judge(self, rows: Rows, known: Sequence[Alarm]) -> list[Alarm]:
        """New alarms. ``known``: those of all ranks together, which a loss that leaps along with its gradient belongs to."""
        if not len(rows.losses):
            return []
        steps, losses, state = rows.steps.tolist(), rows.losses, self._state
        decades = logs(rows)
        state.trail.extend(zip(steps, decades, losses.tolist(), strict=True))
        found = list(judge_losses(state, steps, losses, decades[:, -1]))
        highest = decades[:, -1][np.isfinite(decades[:, -1])]
        state.highest = max([state.highest, *highest.tolist()])
        del state.trail[:-TRAIL]
        new: list[Alarm] = []
        for symptom in found:
            if any(_covers(alarm, symptom.step, self._index) for alarm in known):
                continue
            alarm, is_new, _ = gather(self.book, symptom, state.columns, optimizer=self._index, step=steps[-1], delay=0)
            if is_new:
                # The gradient is that of all ranks, and shows nothing.
                alarm = replace(alarm, rank=rank(), advice=advice(alarm.code, symptom.kind))
                self.book.alarms[alarm.number - 1] = alarm
                new.append(alarm)
        close_quiet(self.book, optimizer=self._index, step=steps[-1], interval=1)
        return new


def _covers(alarm: Alarm, step: int, optimizer: int) -> bool:
    return (
        alarm.optimizer == optimizer
        and is_sudden(alarm.code)
        and alarm.step - alarm.delay <= step <= alarm.last_step + QUIET
    )
