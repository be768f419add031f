"""One guarded optimizer: its hooks, its ring of norms, and what is done before and after each of its steps.

The hot path of the guard. A step that is not read costs a comparison; one that is, the pulse, the clip and one look at the
ring. Nothing of the guard's own may stop the training: an error of ours is told once, and this lane then stands aside.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from time import perf_counter as clock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from steadygrad.act.clipping import Clipper
from steadygrad.detect import judge as policy
from steadygrad.detect.history import State
from steadygrad.errors import TrainingStopped
from steadygrad.watch.budget import Budget, steady
from steadygrad.watch.distributed import largest
from steadygrad.watch.gradient_norms import Ring
from steadygrad.watch.updates import Sample

if TYPE_CHECKING:
    from steadygrad._guard import Guard

LATE = 0.5
"""Seconds after which rows are judged although the ring is not full, so that a kill loses little. A judgement takes a
millisecond, however few the rows: twice as often would be a tenth of the budget more."""
SHARED_ROWS = 16
"""Rows after which they are judged where ranks must do so at the same step."""
SAMPLE_EVERY = 50
"""Steps between two exact updates, at least."""


class Lane:
    """What belongs to one optimizer. ``guard`` decides; this file measures and hands over."""

    def __init__(self, guard: Guard, index: int, optimizer: torch.optim.Optimizer, clipper: Clipper | None) -> None:
        self.guard = guard
        self.index = index
        self.optimizer = optimizer
        self.clipper = clipper
        self._groups = len(optimizer.param_groups)
        self.parameters = guard.names.in_depth([p for group in optimizer.param_groups for p in group["params"]])
        self.columns = guard.names.columns(self.parameters)
        self.state = State(self.columns)
        self.ring = Ring(self.parameters)
        self.step = 0
        self.due = self.look_at = 1
        """The next step that is read, and the next that is looked at."""
        self.interval = guard.fixed_interval or 1
        self.off = False
        self.inside = False
        """Whether a step has begun and is not taken yet."""
        self.rate_factor = 1.0
        self._snapshots = guard.acting.keeps
        self.hidden: list[tuple[Tensor, Tensor]] = []
        self.sample: Sample | None = None
        self.next_sample = SAMPLE_EVERY
        self._sampling = 0.0
        self.taken: list[tuple[int, str]] = []
        self._rates: list[tuple[dict[str, Any], Any]] = []
        self._sampled_to = 0
        self._samples: list[Sample] = []
        self._frozen = np.zeros(0, bool)
        self._limit: list[float] = []
        self._limit_of: Any = None
        self._bounds = np.full(len(self.parameters), np.finfo(np.float32).max, np.float32)
        self._judged = clock()
        self._budget = Budget(guard.options.budget, self._judged)
        self._published = False
        self._hook = optimizer.register_step_pre_hook(self._before)
        self._closing: RemovableHandle | None = None
        """The hook behind a step, which only steps need that something is done in."""

    def remove(self) -> None:
        """Take the hooks away."""
        self._hook.remove()
        if self._closing is not None:
            self._closing.remove()
        self.off = True

    def holds(self, root: nn.Module) -> int:
        """How many of the module's parameters are this optimizer's."""
        own = {id(p) for p in self.parameters}
        return sum(id(p) in own for p in root.parameters())

    # The hooks

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        if self.off:
            return None
        self.step = step = self.step + 1
        if step + 1 == self.due:
            self.guard.looking.arm()
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if step < self.due and closure is None and self.rate_factor == 1.0 and not self._snapshots:
            if self._closing is not None:
                self._closing.remove()
                self._closing = None
            return None
        self.inside = True
        if self._closing is None:
            self._closing = optimizer.register_step_post_hook(self._after)
        if self.rate_factor != 1.0:
            self._lower()
        if closure is not None:
            return self._with_closure(args, kwargs, closure)
        if step >= self.due:
            self._guarded(self._observe)
        return None

    def _with_closure(self, args: Any, kwargs: Any, closure: Callable[..., Any]) -> Any:
        """The gradients of this step come into being inside of it: they are read where the closure has made them."""
        first = True

        def watched(*inner: Any, **named: Any) -> Any:
            nonlocal first
            loss = closure(*inner, **named)
            if first and self.step >= self.due and not self.off:
                if isinstance(loss, Tensor):
                    self.guard.record_loss(loss)
                self._guarded(self._observe)
            elif not first and self.clipper is not None and not self.off:
                self._guarded(self._clip_only)
            first = False
            return loss

        if len(args) > 1:
            return (args[0], watched, *args[2:]), kwargs
        return args, {**kwargs, "closure": watched}

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.inside = False
        if self.hidden:
            for parameter, gradient in self.hidden:
                parameter.grad = gradient
            self.hidden = []
        if self._rates:
            self._restore_rates()
        if self.sample is not None:
            self._guarded(self._finish_sample)
        if self._snapshots:
            self._guarded(lambda: self.guard.stepped(self))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run our own work; an error in it is told, and never the training's."""
        graded = torch.is_grad_enabled()
        # As no_grad does, which takes ten times as long on cold caches.
        torch._C._set_grad_enabled(False)
        try:
            work()
        except TrainingStopped:
            raise
        except Exception as error:
            if self.guard.acting.raised_by_callback is error:
                raise
            self.off = True
            self.guard.looking.arm()
            self.guard.looking.forget(self)
            self.guard.complain(
                f"the guard failed and stands aside ({type(error).__name__}: {error}); training goes on"
            )
        finally:
            torch._C._set_grad_enabled(graded)

    # One step

    def _observe(self) -> None:
        began = clock()
        optimizer, guard = self.optimizer, self.guard
        if len(optimizer.param_groups) != self._groups:
            self._take_in()
        step, ring = self.step, self.ring
        rate = self._rate()
        scale = optimizer.__dict__.get("grad_scale")
        if scale is not None and not isinstance(scale, Tensor):
            scale = None
        gradients, row = ring.beat(step, began, rate, scale)
        host = ring.latest()
        left_out = False
        if host is not None or guard.acting.on:
            seen: list[float] = host if host is not None else row.tolist()
            if self._limit_of is not ring.columns:
                self._limit, self._limit_of = self._bounds[ring.columns].tolist(), ring.columns
            if not all(map(operator.le, seen, self._limit)):
                left_out = self._left_out_by_scaler(seen)
                if not left_out:
                    if scale is not None and ring.widen(gradients, scale):
                        host = ring.latest()
                    self.judge()
        leapt = policy.leaps(self.state, rate)
        if leapt or step >= self.next_sample:
            self._start_sample(rate, leapt)
            began += self._sampling
        if not left_out:
            if self.clipper is not None and not self.hidden:
                factor = self.clipper(gradients, row, host, self.parameters, 1.0 if scale is None else float(scale))
                if factor != 1.0 and ring.filled:
                    ring.clipped(factor)
            if step >= self.look_at:
                looking = clock()
                guard.look_by_the_clock(self, row)
                self.look_at = guard.looking.next_for(self)
                # Looks have a budget of their own.
                looked = clock() - looking
                began += looked
                self._budget.left_out(looked)
        now = clock()
        if ring.full or (ring.filled >= SHARED_ROWS if guard.shared else now - self._judged > LATE):
            self.judge()
            now = clock()
        if self._budget.read(now - began):
            self._settle(now)
        self.due = min(step + self.interval, self.look_at)
        guard.looking.arm()
        guard.looking.forget(self)

    def _take_in(self) -> None:
        """Parameters have been added to the optimizer: watched from now on, beside what is known of the others."""
        self.judge()
        self._groups = len(self.optimizer.param_groups)
        self.parameters = self.guard.names.in_depth(
            [p for group in self.optimizer.param_groups for p in group["params"]]
        )
        self.columns = self.guard.names.columns(self.parameters)
        self.state = State.from_plain(self.columns, self.state.as_plain())
        self.ring = Ring(self.parameters)
        self._bounds, self._limit_of = policy.linear_bounds(self.state), None
        self._sampled_to, self.sample, self._samples = 0, None, []
        self.guard.forget_weights(self)

    def _left_out_by_scaler(self, seen: Sequence[float]) -> bool:
        """Whether an overflow is the loss scale's own search: a fused optimizer is then called, and changes nothing."""
        found = getattr(self.optimizer, "found_inf", None)
        if found is None or all(map(math.isfinite, seen)) or not bool(found):
            return False
        self.ring.take_back()
        return True

    def _clip_only(self) -> None:
        """A later evaluation of the closure, within the same step: clipped, not counted."""
        assert self.clipper is not None
        gradients, row = self.ring.beat(self.step, clock(), 0.0)
        self.clipper(gradients, row, self.ring.latest(), self.parameters, 1.0)
        self.ring.take_back()

    def _rate(self) -> float:
        groups = self.optimizer.param_groups
        rate = groups[0].get("lr", math.nan)
        if len(groups) > 1:
            rate = max(group.get("lr", math.nan) for group in groups)
        return math.nan if isinstance(rate, Tensor) and rate.device.type != "cpu" else float(rate)

    def judge(self) -> None:
        """Hand the unread rows to the policy and the journal, and what they show to the guard."""
        rows = self.ring.unread()
        waiting, self._samples = self._samples, []
        for sample in waiting:
            self.guard.sampled(self, sample)
        self._judged = clock()
        if rows is None:
            return
        frozen = np.array([not p.requires_grad for p in self.parameters])
        before, self._frozen = self._frozen, frozen
        symptoms = policy.judge(self.state, rows, frozen | before if len(before) == len(frozen) else frozen)
        self._bounds = policy.linear_bounds(self.state)
        self._limit_of = None
        self.guard.write_rows(self, rows)
        self.guard.judged(self, rows, symptoms)

    def _settle(self, now: float) -> None:
        """The interval that keeps within the budget, from what a read and a step take here."""
        guard, budget = self.guard, self._budget
        budget.add(guard.looking.take_spent(self))
        if guard.fixed_interval is None and not self._published:
            # Where steps are read rarely, a judgement is most of what a read takes.
            self.judge()
            judged = clock()
            budget.add(judged - now)
            now = judged
        if budget.known:
            wanted = guard.fixed_interval or budget.interval(self.step, now)
            if guard.fixed_interval is None and guard.shared:
                wanted = largest(wanted, self.parameters[0].device)
            if not self._published or not steady(self.interval, wanted):
                self.interval, self._published = wanted, True
                guard.publish(self, budget.cost / budget.step_time(self.step, now))
        budget.settled(self.step, now, self.interval)

    def know(self, state: State) -> None:
        """The policy knows this, and no more, of the gradients so far; of parameters added since it knows nothing."""
        self.state = state if state.columns == self.columns else State.from_plain(self.columns, state.as_plain())
        self._bounds, self._limit_of = policy.linear_bounds(self.state), None

    def go_on_at(self, step: int) -> None:
        """Another run has taken this many steps before."""
        self.step = step
        self.due = step + 1
        self.look_at = self.guard.looking.next_for(self)
        self._budget.settled(step, clock(), self.interval)

    # Exact updates

    def _start_sample(self, rate: float, leapt: bool) -> None:
        """Copy weights before the step. The seconds that it takes are no part of a read."""
        began = clock()
        self.sample = Sample.of(self.parameters, self.step, rate, leapt, self._sampled_to)
        self._sampled_to = (self.sample.columns[-1] + 1) % len(self.parameters)
        self._sampling = clock() - began
        self._budget.left_out(self._sampling)

    def _finish_sample(self) -> None:
        sample, self.sample = self.sample, None
        assert sample is not None
        began = clock()
        sample.finish()
        # What is told of a sample names the step of the next one; telling takes its time as well.
        self._plan_sample(clock() - began)
        if sample.on_host:
            self.guard.sampled(self, sample)
        else:
            self._samples.append(sample)
        spent = clock() - began
        self._budget.left_out(spent)
        self._plan_sample(spent)

    def _plan_sample(self, spent: float) -> None:
        """When exact updates are measured again, where this time it took so long after the step."""
        between = self._budget.between_samples(self._sampling + spent, self.step, clock())
        self.next_sample = self.step + max(SAMPLE_EVERY, between)

    def forget_sample(self) -> None:
        """A snapshot was put back: what was measured of the present step no longer holds."""
        self.sample = None

    # The learning rate, where the guard was told to lower it

    def _lower(self) -> None:
        """For this step only: a schedule sees the rate that it has set itself."""
        for group in self.optimizer.param_groups:
            if "lr" in group:
                kept = group["lr"]
                if isinstance(kept, Tensor):
                    self._rates.append((group, kept.clone()))
                    kept.mul_(self.rate_factor)
                else:
                    self._rates.append((group, kept))
                    group["lr"] = kept * self.rate_factor

    def _restore_rates(self) -> None:
        for group, kept in self._rates:
            if isinstance(kept, Tensor):
                group["lr"].copy_(kept)
            else:
                group["lr"] = kept
        self._rates = []
