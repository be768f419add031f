"""One optimizer's steps, measured: the raw gradient norms, the loss, the clip and the update of each, as one row a step.

The hot path. Gradients are read where they are raw: at the end of the step's last backward pass, else at the first clip that
touches them, else at the step. Whoever made this watch is called twice a step, ``before_step`` with the row closed and the
gradients still there, and ``after_step``. It measures; it judges nothing, prints nothing and changes nothing.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from time import perf_counter as clock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.copies.step_arguments import place_of_closure
from steadygrad.record.rows import Estimates, Rows
from steadygrad.torch_internals.compiling import never_compiled
from steadygrad.torch_internals.tensors import versions_of
from steadygrad.watch import backward, clips, loss_scale, losses, rates
from steadygrad.watch.by_hand import HandScaling, factors
from steadygrad.watch.clips import UserClip
from steadygrad.watch.closures import closure_of, with_closure
from steadygrad.watch.gradient_norms import Ring, taken
from steadygrad.watch.handler import Handler
from steadygrad.watch.hooks import StepHook, heard
from steadygrad.watch.loop import Loop
from steadygrad.watch.nesting import is_nested
from steadygrad.watch.trust import Trust
from steadygrad.watch.turns import Turns
from steadygrad.watch.updates import Monitor

_gradient = operator.attrgetter("grad")


class StepWatch:
    """Hooks of one optimizer and what they measure. ``columns[i]``: the place of the i-th parameter in a row, by depth."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], columns: Sequence[int], handler: Handler
    ) -> None:
        self.optimizer = optimizer
        self.handler = handler
        self.step = 0
        self.every = 1
        """Each how many steps are read."""
        self.look_at = 1
        """A step that is read in any case."""
        self.inside = False
        """Whether a step has begun and is not taken yet."""
        self.off = self.alone = self.hooked = False
        """No more; steps close with their backward pass, and what is done to gradients then is unseen; hooks were called."""
        self.gradients: list[Tensor] = []
        """The gradients of the row that was read last."""
        self.scale: Tensor | None = None
        """The loss scale that they still hold."""
        self.norms: list[float] | None = None
        """The row that was closed last, in the order of ``ring.columns``; None where reading it would wait for a device."""
        self.loss: Any = math.nan
        """The loss of that row: a number, or a function that reads it later."""
        self.recorded: Any = None
        """The loss of the coming step as the program gave it."""
        self.loop = Loop()
        self.clips: list[UserClip] = []
        """Clips by the program in this step."""
        self.clip_steps = self.clip_acted = 0
        self.last_clip: UserClip | None = None
        self._factor: Any = 1.0
        self._hand, self.turns, self.trust = HandScaling(), Turns(), Trust()
        self._unread_clips: set[int] = set()
        """Steps of the ring whose factor is read with it."""
        self._nested = 0
        """Steps that have begun inside of this one: an optimizer that calls its parent's is hooked in both classes."""
        self._fresh = self._valued = self._emptied = self.rewritten = False
        self._versions: list[int] = []
        self._places: dict[int, int] = {}
        self._backwards, self._expected = 0, 1
        self._losses: list[Any] = []
        self.scaler: Any = None
        self.moved: list[float] | None = None
        """The greatest norms of what the last steps changed, as the monitor has them; None on most steps: see ``at_once``."""
        self.at_once = True
        """Whether a step's change must be known right after it, and not with the next steps'."""
        self.rate = math.nan
        """The greatest learning rate when the row was closed; NaN where reading it would wait for a device."""
        self.now = 0.0
        """When the row was closed, in seconds of ``clock``."""
        self._place_of_closure = place_of_closure(optimizer)
        self.evaluations = 0
        """The number of calls of the closure in the last step that had one."""
        self.watch(parameters, columns)
        before, after = StepHook(self._before), StepHook(self._after)
        self._handles = [optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)]
        backward.listen(self)
        clips.listen(self)

    def watch(self, parameters: Sequence[Tensor], columns: Sequence[int]) -> None:
        """Watch these parameters from now on; rows that were not taken yet are lost."""
        self.parameters = list(parameters)
        self.ring = Ring(self.parameters, columns)
        by_depth = sorted(zip(columns, self.parameters, strict=True), key=lambda one: one[0])
        self.monitor = Monitor([parameter for _, parameter in by_depth])
        self._fresh = False
        self.groups = len(self.optimizer.param_groups)

    def remove(self) -> None:
        """Take the hooks away."""
        self.off = True
        for handle in self._handles:
            handle.remove()
        backward.leave(self)
        clips.leave(self)
        self.gradients = []

    @property
    def due(self) -> bool:  # Whether the coming step is read.
        return self.step % self.every == 0 or self.step + 1 == self.look_at

    def record_loss(self, loss: Tensor | float) -> None:
        """The loss of the coming step, as the program gives it."""
        self.recorded = losses.kept(loss) if isinstance(loss, Tensor) else float(loss)

    def take_updates(self) -> Estimates | None:
        """The estimated updates since the last call. Waits for the device."""
        return self.monitor.take()

    def take_rows(self) -> Rows | None:
        """The rows since the last call. Waits for the device."""
        rows = self.ring.unread()
        self.trust.settle()
        if rows is not None and self._unread_clips:
            late, self._unread_clips = list(self._unread_clips), set()
            self.clip_acted += int((rows.factors[np.isin(rows.steps, late)] < 1).sum())
        return rows

    # Backward passes

    def backward_begins(self, loss: Tensor | None) -> None:
        if not self.off and self.loop.backward_begins(self.ring.active or self.parameters):
            # What was there has been cleared without a step: a scaler or the loop left it out.
            self._backwards, self._losses, self.clips = 0, [], []

    def backward_ended(self, loss: Tensor | None, scaler: Any) -> None:
        if self.off or not self.loop.backward_ended(self.ring.active or self.parameters):
            return
        self._backwards += 1
        if loss is not None:
            self._losses.append(loss.item() if type(loss) is Tensor and loss.is_cpu else losses.kept(loss))
        self.scaler = scaler
        self._fresh = False
        # With accumulation only the last backward pass of a step is worth a read: as many as the step before had.
        if scaler is None and self._backwards >= self._expected and (self.every == 1 or self.due):
            self.handler.guarded(self._read)

    # Clips

    def own(self, gradients: Sequence[Tensor]) -> int:
        if self.off or self.alone or not gradients:
            return 0
        if self._fresh and len(gradients) == len(self.gradients) and gradients[0] is self.gradients[0]:
            return len(gradients)
        mine = {id(p.grad) for p in self.parameters if p.grad is not None}
        return sum(id(one) in mine for one in gradients)

    def before_touch(self) -> None:
        if not self._fresh and self.due:
            self.handler.guarded(self._read)

    def norms_of(self, gradients: Sequence[Tensor]) -> Tensor | None:
        ring, raw = self.ring, self._fresh and self._factor == 1.0  # Not once a clip has scaled them.
        if not (raw and ring.plain and self.scale is None and len(gradients) == len(self.gradients)):
            return None
        if versions_of(self.gradients) != self._versions:
            return None
        if all(map(operator.is_, gradients, self.gradients)):
            return ring.row
        if len(self._places) != len(self.gradients) or id(gradients[0]) not in self._places:
            self._places = {id(one): at for at, one in enumerate(self.gradients)}
        return taken(ring.row, [self._places.get(id(one), -1) for one in gradients])

    def was_clipped(self, kind: str, bound: float, count: int, factor: Any, *, wrote: bool = True) -> None:
        used = self.loop.clipping(self.ring.active)
        self.clips.append(UserClip(kind, bound, count, scaled=self.scale is not None, used=used))
        if not wrote:
            return
        if self._fresh:
            if factor is None or (count < len(self.gradients) and factor != 1.0):
                self._valued = self.turns.before(self.gradients if kind == "value" else ())
            else:
                self._factor = losses.product(self._factor, factor)
                self._versions = versions_of(self.gradients)
        elif factor is not None and not callable(factor):
            self._factor = losses.product(self._factor, factor)  # Of a step that is not read.

    # Steps

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        if self.off:
            return None
        if self.inside and is_nested(optimizer, sys._getframe(2)):
            self._nested += 1
            return None
        if not self.hooked:
            self.hooked = True
            self.monitor.forget()
        self.inside, self._nested = True, 0
        place = self._place_of_closure
        closure = closure_of(args, kwargs, place) if kwargs or len(args) > 1 else None
        if closure is not None:
            self.evaluations = 0
            return with_closure(args, kwargs, place, heard(closure, self._evaluated))
        self._close()
        return None

    @never_compiled
    def _evaluated(self, loss: Any) -> None:
        """Let the closure of this step close its row: its gradients come into being inside of the step."""
        self.evaluations += 1
        if self.off:
            return
        if self.evaluations > 1:
            self.handler.guarded(self.handler.again)
            return
        if not self._losses and isinstance(loss, Tensor) and loss.numel() == 1:
            self._losses.append(losses.kept(loss))
        self._close()

    def _close(self) -> None:
        """Close the row of this step, and hand it over."""
        due, self.step = self.every == 1 or self.due, self.step + 1
        if due:
            self.handler.guarded(self._close_row)
        else:
            self.norms, self.rate = None, rates.greatest(self.optimizer)
            self.clip_steps += bool(self.clips)
            self.clip_acted += bool(self.clips) and self._factor < 1.0
        if not self.monitor.known:
            self.handler.guarded(self.monitor.before)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._expected, self._backwards, self._losses, self.clips = self._backwards or 1, 0, [], []
        self._factor, self._valued, self._fresh, self.rewritten, self.recorded = 1.0, False, False, False, None

    def _close_row(self) -> None:
        self._emptied = False
        if not self._fresh:
            self._read()
        elif not self._unchanged():
            self._changed()
        elif self._hand.usual < 1.0 and not self.clips:
            self._scaled_by_hand(1.0, 1.0)
        self._commit()
        self.handler.before_step()

    def _commit(self) -> None:
        ring, self.now = self.ring, clock()
        self.loss = losses.total(self._losses) if self.recorded is None else self.recorded
        self.norms = ring.host()
        groups = self.optimizer.param_groups
        rate = groups[0].get("lr") if len(groups) == 1 else None
        self.rate = rate = rate if type(rate) is float else rates.greatest(self.optimizer)
        ring.commit(self.step, self.now, rate, self.loss, self._factor, self.norms)
        if self.clips:
            self.last_clip = self.clips[-1]
            self.clip_steps += 1
            if callable(self._factor):
                self._unread_clips.add(self.step)
            elif self._factor < 1.0:
                self.clip_acted += 1
        self.loop.stepped(self._backwards, self.clips, len(ring.active), self.norms, emptied=self._emptied)

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self.off or not self.inside:
            return  # Compiled code may call the one hook and not the other.
        if self._nested:
            self._nested -= 1
            return
        self.inside = False
        self.handler.guarded(self._finish)

    def _finish(self) -> None:
        self.moved = self.monitor.after(self.step, self.rate, at_once=self.at_once)
        self.loop.taken(self.ring.active)
        # Held on to, they would be in the way of the coming step's.
        self._losses, self.gradients = [], []
        if self.loop.news:
            self.loop.news = False
            self.handler.judge()
        self.handler.after_step()

    def left_out_by_scaler(self) -> bool:
        """Return whether an overflow is the loss scale's own search: a fused optimizer is then called, and changes nothing."""
        if not loss_scale.leaves_out(self.optimizer, self.norms):
            return False
        self.ring.take_back()
        return True

    def widen(self) -> None:
        """Take the norms of the closed row in float64, where squares may have overflowed."""
        if self.norms is not None and self.gradients and any(map(math.isinf, self.norms)):
            self.norms = self.ring.widen(self.gradients, self.scale) or self.norms

    # Reading

    def _read(self) -> None:
        scaled = self.scaler is not None or "grad_scale" in self.optimizer.__dict__
        self.scale = loss_scale.at_read(self) if scaled else None
        self.gradients = self.ring.read(self.scale)
        self._versions = versions_of(self.gradients)
        self._fresh, self._places, self._factor, self._valued = True, {}, 1.0, False

    def _unchanged(self) -> bool:
        """Return whether the gradients are those that were read, and nobody has written to them since."""
        now = map(_gradient, self.ring.active)
        return all(map(operator.is_, now, self.gradients)) and versions_of(self.gradients) == self._versions

    def _changed(self) -> None:
        """Somebody wrote to the gradients after they were read: a clip by value, a loop that scales them by hand, a fault."""
        if any(p.grad is None for p in self.ring.active):
            self._read()
            return
        ring, self.rewritten = self.ring, True
        if self._valued and all(one.kind == "value" for one in self.clips):
            bound, norms = min(one.bound for one in self.clips), ring.host()
            if norms is not None and all(map(float(bound).__ge__, norms)):
                return
        raw, now = ring.row.clone(), ring.measure()
        self.gradients = [p.grad for p in ring.active]  # type: ignore[misc]
        self.scale = None  # Where it was scaled, it is not so any more.
        ring.raise_to(now * (1 - 1e-6))
        if not ring.on_host:
            return
        factor, greatest = factors(raw.numpy(), now.numpy())
        self._emptied = factor == 0.0 and not self.clips
        if not math.isfinite(factor):
            return
        if self._valued:
            self._factor = self.turns.after(self.gradients, min(1.0, factor))
        elif not self.clips:
            self._scaled_by_hand(factor, greatest)

    def _scaled_by_hand(self, factor: float, greatest: float) -> None:
        self._factor, acted = self._hand.seen(factor, greatest)
        self.clip_acted += acted
