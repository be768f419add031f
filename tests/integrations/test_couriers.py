"""What is carried to a listener: all of it where there is time, some of the steps where not, and never at the run's expense."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.errors import SettingsError
from steadygrad.listen.batch import Batch
from steadygrad.listen.courier import Courier
from steadygrad.record import Alarm, Severity

ALARM = Alarm(1, 7, "SG206", "gradient-spike", Severity.WARNING, "0.weight", "×40 its median")


class Heard:
    """Notes what it is given; ``work`` is processor time that it takes for each step, in seconds."""

    name = "the board"

    def __init__(self, work: float = 0.0, error: Exception | None = None) -> None:
        self.steps: list[int] = []
        self.alarms: list[int] = []
        self.closed = 0
        self._work, self._error = work, error

    def rows(self, batch: Batch) -> None:
        if self._error is not None:
            raise self._error
        until = time.thread_time() + self._work * len(batch)
        while time.thread_time() < until:
            pass
        self.steps += batch.steps.tolist()

    def alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm.number)

    def close(self) -> None:
        self.closed += 1


def batch(first: int, rows: int) -> Batch:
    steps = np.arange(first, first + rows)
    return Batch(0, steps, steps * 1.0, {"steadygrad/loss": steps * 0.5}, ("a",), np.ones((rows, 1), np.float32))


def carried(heard: Heard, share: float, said: list[str]) -> Courier:
    courier = Courier(heard, said.append, share)
    for first in range(1, 401, 40):
        courier.rows(batch(first, 40))
        courier.flush()
    courier.alarm(ALARM)
    courier.alarm(ALARM)
    courier.close()
    courier.close()
    return courier


def test_everything_arrives_in_order_and_each_alarm_once() -> None:
    heard, said = Heard(), list[str]()
    carried(heard, 1.0, said)
    assert heard.steps == list(range(1, 401))
    assert (heard.alarms, heard.closed, said) == ([1], 1, [])


def test_a_listener_that_takes_too_long_gets_some_of_the_steps_and_all_alarms() -> None:
    heard, said = Heard(work=1e-3), list[str]()
    courier = carried(heard, 0.01, said)
    # Of the first batch nothing is known yet; of each further one at least the last step is handed over.
    assert heard.steps[:40] == list(range(1, 41))
    assert heard.steps[40:] == [80, 120, 160, 200, 240, 280, 320, 360, 400]
    assert heard.alarms == [1] and courier.seconds >= 0.049
    (line,) = said
    assert line.startswith("the board gets some of the steps: all would take more than 0.01 of the run's time; next:")


def test_what_a_listener_raises_is_said_once_and_alarms_still_arrive() -> None:
    heard, said = Heard(error=OSError("no route")), list[str]()
    carried(heard, 1.0, said)
    (line,) = said
    assert line.startswith("the board did not take what it was sent (OSError: no route); the run goes on")
    assert (heard.alarms, heard.closed) == ([1], 1)


def test_a_guard_without_a_journal_is_heard() -> None:
    heard = Heard()
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.guard(model, optimizer, trackers=[heard], probe_every=0, quiet=True):
        for _ in range(30):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    assert heard.steps == list(range(1, 31)) and heard.closed == 1


@pytest.mark.parametrize("given", ["tensorboard", 3, [object()]])
def test_what_is_no_tracker_is_refused(given: Any) -> None:
    model = nn.Linear(2, 1)
    with pytest.raises(SettingsError, match="trackers has"):
        sg.guard(model, torch.optim.SGD(model.parameters(), lr=0.1), trackers=given)
