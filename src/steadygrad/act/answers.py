"""The choices of an acting guard over one run: the answer to each symptom, the actions taken, the state to go back to.

``on_alarm`` says how often an answer may be given, ``actions`` gives it once. Nothing is printed or written here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from steadygrad.act import actions as act
from steadygrad.act import snapshot
from steadygrad.act.on_alarm import KINDS, WAIT, OnAlarm, decide
from steadygrad.act.target import Target
from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.errors import TrainingStopped
from steadygrad.record import Action, Alarm, Severity


@dataclass(frozen=True)
class Kept:
    """The state to go back to: a snapshot, and what the policy knew of each optimizer's gradients then."""

    snapshot: snapshot.Snapshot
    states: tuple[State, ...]


class Answers:
    """``on``: whether anything is done at all. ``done``: the actions so far."""

    def __init__(
        self,
        told: OnAlarm,
        roots: Sequence[nn.Module],
        targets: Sequence[Target],
        *,
        snapshot_every: int,
        snapshot_bytes: int,
    ) -> None:
        self.on = told.kind != "warn"
        self.done: list[Action] = []
        self.stopped: TrainingStopped | None = None
        self.raised_by_callback: BaseException | None = None
        words = (told.kind, told.then if self.on else "")
        self.keeps = "rollback" in words or "stop" in words or callable(told.kind)
        """Whether snapshots are kept: to go back to, or to save when the training is stopped, also at a limit."""
        self._told = told
        self._roots = list(roots)
        self._targets = targets
        self._kept: list[Kept] = []
        self._every, self._bytes = snapshot_every, snapshot_bytes

    def answer(
        self, target: Target, symptom: Symptom, alarm: Alarm, *, new: bool, journal: str | None
    ) -> Action | None:
        """Answer this symptom, if it needs an answer. ``new``: it is the first of its alarm."""
        if not self.on or symptom.severity is Severity.INFO or target.hidden:
            return None
        done = self._chosen(target, symptom, alarm, new=new, journal=journal)
        acts = not callable(self._told.kind) or (done is not None and done.kind in KINDS)
        if acts and not target.finite and target.inside and not target.hidden and self.stopped is None:
            # A guard that acts lets no step through that is not finite, whatever it was asked to do; a stop takes none.
            left_out = act.skip(target)
            if done is None:
                return None
            words = f"{done.message}, and {left_out.message}: its gradients are not finite"
            done = replace(done, message=words)
            self.done[-1] = done
        return done

    def _chosen(
        self, target: Target, symptom: Symptom, alarm: Alarm, *, new: bool, journal: str | None
    ) -> Action | None:
        kind: Any = self._told.kind
        if callable(kind):
            if not new:
                return None
            kind = self._call_back(kind, alarm)
            if kind not in KINDS:
                return self._recorded(target, alarm, act.Done("call", "called the function given"))
        recent = max((at for at, _ in target.taken), default=-WAIT)
        if kind == "warn" or (kind != "skip" and not new and target.step - recent < WAIT):
            return None
        # Only a step that is still to come, and that is ill itself, can be left out.
        if kind == "skip" and (symptom.lasting or not (target.inside and symptom.last_step >= target.step)):
            return None
        chosen, why = decide(self._told, kind, target.taken, target.step)
        if chosen == "warn":
            return None
        target.taken.append((target.step, chosen))
        done = self._do(chosen, target, alarm, journal)
        done = replace(done, message=f"{done.message} ({why})" if why else done.message)
        if chosen == "stop":
            self._stop(target, TrainingStopped(f"{alarm.code} {alarm.name} at step {alarm.step:,}: {done.message}"))
        return self._recorded(target, alarm, done)

    def keep(self, target: Target) -> str | None:
        """Take a snapshot after a healthy step, when it is time. Returns the reason where it can't, in words."""
        if target is not self._targets[-1] or (target.step % self._every != 0 and self._kept):
            return None
        optimizers = [one.optimizer for one in self._targets]
        needed = snapshot.size_of(self._roots, optimizers)
        if needed > self._bytes:
            return f"no snapshot: it takes {needed / 2**30:.1f} GiB, snapshot_bytes allows {self._bytes / 2**30:.1f}"
        kept = snapshot.take(self._roots, optimizers, [one.step for one in self._targets])
        self._kept = [*self._kept[-1:], Kept(kept, tuple(copy.deepcopy(one.state) for one in self._targets))]
        return None

    def _do(self, chosen: str, target: Target, alarm: Alarm, journal: str | None) -> act.Done:
        if chosen == "skip":
            return act.skip(target)
        if chosen == "lower":
            return act.lower(target)
        if chosen == "clip":
            return act.clip_harder(target)
        if chosen == "rollback":
            return self._roll_back(target, alarm.step - alarm.delay)
        good = [one.snapshot for one in self._kept if one.snapshot.steps[target.index] < alarm.step - alarm.delay]
        return act.stop(self._targets, self._roots, journal, good[-1] if good else None)

    def _stop(self, target: Target, why: TrainingStopped) -> None:
        self.stopped = why
        if self._told.stop is not None:
            if target.inside and not target.hidden:
                act.skip(target)
            self.on = False
            self._told.stop(why)

    def _roll_back(self, target: Target, before: int) -> act.Done:
        """Go back to the last snapshot from before the step at which the incident began; later ones are as ill as it is."""
        if not self._kept:
            return act.no_snapshot(target)
        self._kept = [one for one in self._kept if one.snapshot.steps[target.index] < before] or self._kept[:1]
        back = self._kept[-1]
        for one, state in zip(self._targets, back.states, strict=True):
            one.know(copy.deepcopy(state))
        return act.roll_back(target, self._targets, back.snapshot, before)

    def _call_back(self, function: Callable[[Alarm], Any], alarm: Alarm) -> Any:
        """Call the user's function; its exceptions go through."""
        try:
            return function(alarm)
        except BaseException as error:
            self.raised_by_callback = error
            raise

    def _recorded(self, target: Target, alarm: Alarm, done: act.Done) -> Action:
        action = Action(target.step, done.kind, alarm.number, done.message, done.before, done.after)
        self.done.append(action)
        return action
