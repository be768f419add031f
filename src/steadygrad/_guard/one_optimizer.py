"""One guarded optimizer: what it measures goes to the rules, what they find to whoever made it, what is answered into its step.

Puts the watch of its steps together with the state of the rules, the clip and the exact updates. Nothing of the guard's own
may stop the training: an error of ours is reported once, and this optimizer is then left alone.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter as clock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad._guard import exact_updates
from steadygrad._guard.own_loss import OwnLoss
from steadygrad._guard.owner import Owner
from steadygrad.act.clipping import Clipper
from steadygrad.act.lowered_rates import LoweredRates
from steadygrad.detect import judge, losses, updates
from steadygrad.detect.history import WARM, State
from steadygrad.detect.symptoms import Symptom
from steadygrad.errors import TrainingStopped
from steadygrad.explain.capture import Capture
from steadygrad.explain.weights import WeightHistory
from steadygrad.record.rows import Rows, total_of
from steadygrad.torch_internals.tensors import set_grad_enabled
from steadygrad.watch import rates, trust
from steadygrad.watch.budget import Budget
from steadygrad.watch.names import Names
from steadygrad.watch.places import place_of_step
from steadygrad.watch.unseen import AllSteps

LATE = 0.5
"""Seconds after which rows are judged although the ring is not full, so that a kill loses little."""
SHARED_ROWS = 16
"""Rows after which they are judged where ranks must do so at the same step."""
SUSPICIOUS = 0.2
"""Estimated update ÷ weight after which the next updates are measured exactly."""


class GuardedOptimizer:
    """The parts of a guard that belong to one optimizer."""

    def __init__(
        self,
        owner: Owner,
        index: int,
        optimizer: torch.optim.Optimizer,
        names: Names,
        *,
        clipper: Clipper | None,
        every: int,
        budget: float,
    ) -> None:
        self.owner, self.index, self.optimizer = owner, index, optimizer
        self.names, self.clipper = names, clipper
        self.rate_factor = 1.0
        self.hidden: list[tuple[Tensor, Tensor]] = []
        self.taken: list[tuple[int, str]] = []
        self.budget = Budget(budget, clock())
        self.weights = WeightHistory(0)
        self.place = place_of_step()  # Known as soon as rows were judged in a step.
        self.captures: Sequence[Capture] = ()
        """Of the models that it holds most of."""
        self._rates = LoweredRates(optimizer)
        self._exact = exact_updates.ExactUpdates(self.budget)
        self._leapt_at = 0
        self._traits = updates.traits_of(optimizer.defaults)
        self._unwritten: list[Rows] = []
        self._frozen = np.zeros(0, bool)
        self._shared = owner.shared
        self._limit: list[float] = []
        self._limit_of: Any = None
        self._judged = clock()
        own, columns = self._own()
        self.watch = AllSteps(optimizer, own, columns, self)
        self.watch.every = every
        self.remove = self.watch.remove
        self._take_columns()
        self.state = State(self.columns)
        self.own_loss = OwnLoss(self.columns, index) if owner.shared else None
        self._set_limits()

    # What others read

    @property
    def step(self) -> int:
        return self.watch.step

    @property
    def inside(self) -> bool:
        return self.watch.inside

    @property
    def off(self) -> bool:
        return self.watch.off

    @property
    def finite(self) -> bool:
        """Return whether the gradients of the step at hand are finite; True where that can't be seen without waiting."""
        norms = self.watch.norms
        return norms is None or all(map(math.isfinite, norms))

    # The handler of the watch

    def before_step(self) -> None:
        watch = self.watch
        ring, rate = watch.ring, watch.rate
        if len(self.optimizer.param_groups) != watch.groups:
            self._take_in()
            ring = watch.ring
        if rate > self._leap_above and updates.leaps(self.state, rate):
            self._leapt_at = watch.step
        seen, loss = watch.norms, watch.loss
        as_most_are = (
            seen is not None
            and self._limit_of is ring.columns
            and all(map(operator.le, seen, self._limit))
            and total_of(seen) <= self._total_limit
            and type(loss) is float
            and loss <= self._loss_limit
        )
        if not as_most_are and self._ill(watch):
            if watch.left_out_by_scaler():
                self.left_out(watch.step, loss)
                return
            self.judge()
        elif self._young and watch.norms is not None:
            self.judge()
        step = watch.step
        if self._leapt_at == step or (step >= self._exact.next and self._exact.allowed(step, clock())):
            began = clock()
            self._exact.begin(self.parameters, step, rate)
            self.budget.spend("updates", clock() - began)
        if self.clipper is not None and not self.hidden:
            scale = 1.0 if watch.scale is None else float(watch.scale)
            factor = self.clipper(watch.gradients, *trust.norms_to_clip_by(watch), ring.active, scale)
            if factor != 1.0:
                self._clipped(factor)
        if step >= watch.look_at:
            began = clock()
            self.owner.look(self, float(torch.linalg.vector_norm(ring.row.double())))
            self.budget.spend("looks", clock() - began)
        if self._overdue():
            self.judge()
        if self.rate_factor != 1.0:
            self._rates.lower(self.rate_factor)
            watch.rate = rates.greatest(self.optimizer)
        if self._unwritten:
            self._write()
        if self.owner.rests:
            self.owner.about_to_read()
        for one in self.captures:
            # What its models were given is needed no more.
            one.given = None

    def again(self) -> None:
        """Handle a later evaluation of a closure within the same step: clip it, do not count it."""
        if self.clipper is not None:
            ring = self.watch.ring
            self.clipper(ring.read(), ring.row, ring.host(), ring.active, 1.0)

    def after_step(self) -> None:
        if self.hidden:
            for parameter, gradient in self.hidden:
                parameter.grad = gradient
            self.hidden = []
        if self._rates.lowered:
            self._rates.restore()
        if self._exact.open is not None:
            began = clock()
            if self._exact.end() and (self._leapt_at == self.step or self.step <= exact_updates.FIRST):
                self.judge()
            self.budget.spend("updates", clock() - began)
        watch = self.watch
        if watch.monitor.full or (watch.moved is not None and self._suspicious(watch.moved)):
            self.judge()
        owner = self.owner
        if owner.keeps:
            owner.stepped(self)
        if owner.rests:
            # The next step of some optimizer may be read: its model is to keep what it is given.
            owner.about_to_read()

    def after_unseen_step(self) -> None:
        watch = self.watch
        moved = watch.moved is not None and self._suspicious(watch.moved)
        if self._young or moved or watch.monitor.full or self._ill(watch) or self._overdue():
            self.judge()
        for one in self.captures:
            one.begin_anew()
        self.owner.stepped_unseen(self)

    def left_out(self, step: int, loss: Any) -> None:
        value = loss() if callable(loss) else loss
        if value > self._loss_limit and not self._shared:
            self.judge()
            self.owner.found(self, losses.of_left_out(self.state, step, value))

    def _overdue(self) -> bool:
        ring = self.watch.ring
        late = ring.filled >= SHARED_ROWS if self._shared else self.watch.now - self._judged > LATE
        return ring.filled >= ring.room or (late and ring.filled > 0)

    def guarded(self, work: Callable[[], None]) -> None:
        graded = torch.is_grad_enabled()
        # As no_grad does, which takes ten times as long on cold caches.
        set_grad_enabled(False)
        try:
            work()
        except TrainingStopped:
            raise
        except Exception as error:
            if self.owner.stands_aside(self, error):
                raise
            self.watch.off = True
            self.owner.about_to_read()
        finally:
            set_grad_enabled(graded)

    # Judging

    def judge(self) -> None:
        """Hand the unread rows and updates to the rules, and what they show to the owner."""
        self.place = self.place or place_of_step()
        exact = self._exact.read()
        estimates = self.watch.take_updates()
        rows = self.watch.take_rows()
        self._judged = clock()
        found: list[Symptom] = []
        if rows is not None:
            frozen = np.array([not p.requires_grad for p in self.parameters])
            before, self._frozen = self._frozen, frozen
            self._unwritten.append(rows)
            if not self.inside:
                self._write()
            mine = rows
            if self.own_loss is not None:
                # Each rank has a loss of its own, and all must find the same at the same step.
                rows = replace(rows, losses=np.full(len(rows), np.nan))
            found += judge.judge(self.state, rows, frozen | before if len(before) == len(frozen) else frozen)
        for one in exact:
            self.owner.updated(self, one)
            self.weights.add(one.step, one.weights, one.ratios)
        found += updates.judge_updates(
            self.state, exact, estimates, leapt_at=self._leapt_at, at=self._at, traits=self._traits
        )
        if rows is not None and self.state.pending_update is not None:
            found += updates.confirmed(self.state, rows, judge.logs(rows))
        self._set_limits()
        self.owner.found(self, sorted(found, key=lambda symptom: symptom.step))
        if rows is not None and self.own_loss is not None:
            self.owner.found_here(self, self.own_loss.judge(mine, self.owner.book.alarms))

    def _clipped(self, factor: float) -> None:
        """Note that the guard's clip has multiplied the gradients of this step, whose row may have been judged already."""
        if self.watch.ring.filled:
            self.watch.ring.clipped(factor)
        elif self._unwritten:
            self._unwritten[-1].factors[-1] *= factor

    def _write(self) -> None:
        """Hand what was judged to the owner, when the clip of its last step is known."""
        unwritten, self._unwritten = self._unwritten, []
        for rows in unwritten:
            self.owner.rows(self, rows)

    def know(self, state: State) -> None:
        """Set what the rules know of the gradients so far; they know nothing of parameters added since."""
        self.state = state if state.columns == self.columns else State.from_plain(self.columns, state.as_plain())
        self._set_limits()

    def go_on_at(self, step: int) -> None:
        """Continue a run that has taken this many steps."""
        self.watch.step = step
        self._exact.rest_from(step)

    def forget_sample(self) -> None:
        self._exact.open = None
        self.watch.monitor.forget()

    def _at(self, step: int) -> tuple[float, float]:
        """Loss and log10 of the total norm of a step."""
        for at, row, loss in reversed(self.state.trail):
            if at == step:
                return loss, float(row[-1])
        return math.nan, math.nan

    def _ill(self, watch: AllSteps) -> bool:
        """Return whether the row at hand is beyond what needs no judgement; False where seeing it would wait for a device."""
        seen = watch.norms
        if seen is None:
            if not self.owner.acts:
                return False
            seen = watch.norms = watch.ring.latest()
        if self._limit_of is not watch.ring.columns:
            self._limit, self._limit_of = self._limits.norms[watch.ring.columns].tolist(), watch.ring.columns
        high = not all(map(operator.le, seen, self._limit))
        if high and not all(map(math.isfinite, seen)):
            watch.widen()
        if not high and math.isfinite(self._limits.total):
            high = not total_of(seen) <= self._limits.total
        loss = watch.loss
        return high or (not self.owner.shared and not callable(loss) and loss == loss and not loss <= self._limits.loss)

    def _set_limits(self) -> None:
        self._limits = judge.limits(self.state)
        self._limit_of = None
        # Known as plain numbers: between two steps numpy's code leaves the caches.
        self._young = bool(self.state.seen[-1] < WARM)
        self._total_limit, self._loss_limit = self._limits.total, self._limits.loss
        self._leap_above = self.state.greatest_rate * updates.RATE_JUMP
        self.watch.at_once = self._young or self.owner.acts

    def _suspicious(self, moved: list[float]) -> bool:
        """Return whether the update just made needs a judgement at once: a third of a weight, or not a number."""
        if all(b * SUSPICIOUS >= c for b, c in zip(self.watch.monitor.norms, moved, strict=True)):
            return False
        self._exact.next = min(self._exact.next, self.step + 1)
        return True

    # Parameters

    def _own(self) -> tuple[list[Tensor], list[int]]:
        """The optimizer's parameters in its own order, and the column of each."""
        own = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.parameters: Sequence[Tensor] = self.names.in_depth(own)
        places = {id(p): at for at, p in enumerate(self.parameters)}
        return own, [places[id(p)] for p in own]

    def _take_columns(self) -> None:
        self.columns = self.names.columns(self.parameters)
        self.weights = WeightHistory(len(self.parameters))
        self._exact.restart()

    def _take_in(self) -> None:
        """Parameters have been added to the optimizer: watched from now on, beside what is known of the others."""
        self.judge()
        own, columns = self._own()
        self.watch.watch(own, columns)
        self._take_columns()
        self.state = State.from_plain(self.columns, self.state.as_plain())
        self._set_limits()
