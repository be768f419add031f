"""When the guard looks: at the first step and by the clock, within a share of the run's time, and on alarms, up to a number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import nn

from steadygrad._check import Report
from steadygrad.explain.capture import Capture, Given
from steadygrad.explain.replay import look
from steadygrad.record import Look

if TYPE_CHECKING:
    from steadygrad.watch.steps import Lane

LOOK_SHARE = 0.05
"""Share of the run's time that looks by the clock may take."""
LOOKS_ON_ALARM = 20
"""Looks that alarms may ask for in one run: a run with more has told what it has to tell."""
NEVER = 2**62
"""A step that no run comes to."""


class Looks:
    """The captures of the models' inputs, and the looks that were made of them. ``every``: steps between two, 0 for none."""

    def __init__(self, roots: Sequence[nn.Module], every: int, write: Callable[[Look], None]) -> None:
        self.every = every
        self.made: list[Look] = []
        self._write = write
        self._captures = [Capture(root, replays=every > 0) for root in roots]
        self._lanes: Sequence[Lane] = ()
        self._held: list[list[Capture]] = []
        self._looked_at, self._cost, self._on_alarm = -math.inf, 0.0, 0

    def follow(self, lanes: Sequence[Lane]) -> None:
        """By the clock one optimizer for each model is looked at, the one that holds most of it."""
        self._lanes = lanes
        self._held = [[] for _ in lanes]
        for capture in self._captures:
            self._held[max(lanes, key=lambda lane: lane.holds(capture.root)).index].append(capture)
        for lane in lanes:
            lane.look_at = self.next_for(lane)

    def given(self) -> list[Given]:
        """What the models were given at the step at hand, and what came back."""
        return [one.given for one in self._captures if one.given is not None]

    def next_for(self, lane: Lane) -> int:
        """The next step that is to be looked at, whatever it shows."""
        if not self.every or not self._held[lane.index]:
            return NEVER
        return 1 if lane.step == 0 else (lane.step // self.every + 1) * self.every

    def arm(self) -> None:
        """Have what the models are given kept where the next step of some optimizer is read."""
        soon = False
        for lane in self._lanes:
            soon = soon or (lane.step + 1 >= lane.due and not lane.off)
        for capture in self._captures:
            if soon and not capture.armed:
                capture.arm()
            elif capture.armed and not soon:
                capture.rest()

    def forget(self, lane: Lane) -> None:
        """The step at hand has been read: what its models were given is needed no more."""
        for capture in self._held[lane.index]:
            capture.given = None

    def take_spent(self, lane: Lane) -> float:
        """Seconds that keeping took since the last call."""
        spent = 0.0
        for capture in self._held[lane.index]:
            spent += capture.spent
            capture.spent = 0.0
        return spent

    @property
    def within_share(self) -> bool:
        """Whether the looks by the clock have taken no more than their share of the run's time."""
        return time.perf_counter() - self._looked_at >= self._cost / LOOK_SHARE

    def by_the_clock(self, lane: Lane, norm: float) -> Look:
        """The look that is due. ``norm``: the total gradient norm of the step."""
        found, _ = self._look(lane, None, norm)
        self._looked_at, self._cost = time.perf_counter(), found.seconds
        return found

    def on_alarm(self, lane: Lane, alarm: int) -> tuple[Look, Report | None] | None:
        """A look at the step that an alarm is about; None where there are to be no more."""
        if not self.every or self._on_alarm >= LOOKS_ON_ALARM:
            return None
        self._on_alarm += 1
        return self._look(lane, alarm, None)

    def remove(self) -> None:
        """Take the models' hooks away."""
        for capture in self._captures:
            capture.remove()

    def _look(self, lane: Lane, alarm: int | None, norm: float | None) -> tuple[Look, Report | None]:
        capture = max(self._captures, key=lambda one: lane.holds(one.root))
        found, report = look(capture.root, capture.given, step=lane.step, alarm=alarm, norm=norm)
        self.made.append(found)
        self._write(found)
        return found, report
