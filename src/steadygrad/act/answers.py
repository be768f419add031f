"""What a guard that was told to act does over one run: which answer to which symptom, what was done, what to go back to.

``respond`` says how often an answer may be given, ``act`` gives it once. Nothing is told or written here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from steadygrad.act import actions as act
from steadygrad.act import snapshot
from steadygrad.act.on_alarm import KINDS, WAIT, OnAlarm, decide
from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.errors import TrainingStopped
from steadygrad.record import Action, Alarm, Severity

if TYPE_CHECKING:
    from steadygrad.watch.steps import Lane


@dataclass(frozen=True)
class Kept:
    """What there is to go back to: a snapshot, and what the policy knew of each optimizer's gradients then."""

    snapshot: snapshot.Snapshot
    states: tuple[State, ...]


class Acting:
    """``on``: whether anything is done at all. ``done``: the actions so far."""

    def __init__(
        self,
        told: OnAlarm,
        roots: Sequence[nn.Module],
        lanes: Sequence[Lane],
        *,
        snapshot_every: int,
        snapshot_bytes: int,
    ) -> None:
        self.on = told.kind != "warn"
        self.done: list[Action] = []
        self.stopped: TrainingStopped | None = None
        self.raised_by_callback: BaseException | None = None
        self.keeps = "rollback" in (told.kind, told.then) or callable(told.kind)
        """Whether snapshots are kept."""
        self._told = told
        self._roots = list(roots)
        self._lanes = lanes
        self._kept: list[Kept] = []
        self._every, self._bytes = snapshot_every, snapshot_bytes

    def answer(self, lane: Lane, symptom: Symptom, alarm: Alarm, *, new: bool, journal: str | None) -> Action | None:
        """Do what is to be done about this symptom, if anything is. ``new``: it is the first of its alarm."""
        if not self.on or symptom.severity is Severity.INFO or lane.hidden:
            return None
        kind: Any = self._told.kind
        if callable(kind):
            if not new:
                return None
            kind = self._call_back(kind, alarm)
            if kind not in KINDS:
                return self._recorded(lane, alarm, act.Done("call", "called the function given"))
        recent = max((at for at, _ in lane.taken), default=-WAIT)
        if kind == "warn" or (kind != "skip" and not new and lane.step - recent < WAIT):
            return None
        # Only a step that is still to come, and that is ill itself, can be left out.
        if kind == "skip" and (symptom.lasting or not (lane.inside and symptom.last_step >= lane.step)):
            return None
        chosen, why = decide(self._told, kind, lane.taken, lane.step)
        if chosen == "warn":
            return None
        lane.taken.append((lane.step, chosen))
        done = self._do(chosen, lane, alarm, journal)
        done = replace(done, message=f"{done.message} ({why})" if why else done.message)
        if chosen == "stop":
            self.stopped = TrainingStopped(f"{alarm.code} {alarm.name} at step {alarm.step:,}: {done.message}")
        return self._recorded(lane, alarm, done)

    def keep(self, lane: Lane) -> str | None:
        """After a healthy step: take a snapshot when it is time. Gives the reason where it can't be, in words."""
        if lane is not self._lanes[-1] or (lane.step % self._every != 0 and self._kept):
            return None
        optimizers = [one.optimizer for one in self._lanes]
        needed = snapshot.size_of(self._roots, optimizers)
        if needed > self._bytes:
            return f"no snapshot: it takes {needed / 2**30:.1f} GiB, snapshot_bytes allows {self._bytes / 2**30:.1f}"
        kept = snapshot.take(self._roots, optimizers, [one.step for one in self._lanes])
        self._kept = [*self._kept[-1:], Kept(kept, tuple(copy.deepcopy(one.state) for one in self._lanes))]
        return None

    def _do(self, chosen: str, lane: Lane, alarm: Alarm, journal: str | None) -> act.Done:
        if chosen == "skip":
            return act.skip(lane)
        if chosen == "lower":
            return act.lower(lane)
        if chosen == "clip":
            return act.clip_harder(lane)
        if chosen == "rollback":
            return self._roll_back(lane, alarm.step - alarm.delay)
        return act.stop(lane, self._lanes, self._roots, journal)

    def _roll_back(self, lane: Lane, before: int) -> act.Done:
        """To the last snapshot from before the step at which the incident began; those from after it are as ill as it is."""
        if not self._kept:
            return act.no_snapshot(lane)
        self._kept = [one for one in self._kept if one.snapshot.steps[lane.index] < before] or self._kept[:1]
        back = self._kept[-1]
        for one, state in zip(self._lanes, back.states, strict=True):
            one.know(copy.deepcopy(state))
        return act.roll_back(lane, self._lanes, back.snapshot, before)

    def _call_back(self, function: Callable[[Alarm], Any], alarm: Alarm) -> Any:
        """The user's function; what it raises is theirs, and goes through."""
        try:
            return function(alarm)
        except BaseException as error:
            self.raised_by_callback = error
            raise

    def _recorded(self, lane: Lane, alarm: Alarm, done: act.Done) -> Action:
        action = Action(lane.step, done.kind, alarm.number, done.message, done.before, done.after)
        self.done.append(action)
        return action
