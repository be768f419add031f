"""A run's first step: waits for it, and puts together what it trains: model, batch, loss, optimizer and the loop's clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.clip.hook import hook_for
from steadygrad.clip.spec import Clip
from steadygrad.copies.copying import unwrapped
from steadygrad.launch.first_batch import FirstBatch
from steadygrad.record import Assumption, Location
from steadygrad.subject.subject import Subject, make_subject


class FirstStep:
    """Waits for the first step of one optimizer, and calls ``then`` before it, once.

    ``guard_of`` gives the optimizer's guard, which knows the clip of the loop; ``clip`` is the guard's own, in words.
    ``unseen_too``: also where the model was not called before the step.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        guard_of: Callable[[], Any],
        clip: str | None,
        then: Callable[[], None],
        *,
        unseen_too: bool = False,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.batch = FirstBatch(model)
        self.in_closure = False
        """Whether the step is given a closure, which goes forward and backward."""
        self._guard_of, self._clip, self._then, self._unseen_too = guard_of, clip, then, unseen_too
        self._done = False

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from."""
        if self._done:
            return
        self.batch.backward(loss)
        if self.in_closure and (self.batch.seen or self._unseen_too):
            self._now()

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Note that an optimizer is about to take a step; no hook of its own has been called yet."""
        if self.batch.seen:
            self.batch.leave()
        if self._done or optimizer is not self.optimizer:
            return
        if self.batch.seen or (self.in_closure and self._unseen_too):
            self._now()
        else:
            # A closure goes backward within the step: that is the time, before anything is changed.
            self.in_closure = True

    def subject(self, *, seed: int = 0, target: str = "", said: Assumption | None = None) -> Subject:
        """What the step trains. Raises ``SubjectError`` where the loss cannot be played again."""
        batch, loss_fn = self.batch.batch_and_loss()
        return make_subject(
            unwrapped(self.model),
            batch,
            loss_fn,
            optimizer=self.optimizer,
            seed=seed,
            target=target,
            said=said,
            before_step=self.clip_hook(),
        )

    def clip_hook(self) -> Any:
        """The clip of the loop as a hook of the step; None where there is none."""
        hook = hook_for(self._clip_at_hand())
        if hook is not None:
            watch = self._watch()
            hook.location = None if watch is None else _place_of(watch)
        return hook

    def _now(self) -> None:
        self._done = True
        self.batch.leave()
        self._then()

    def _watch(self) -> Any:
        guard = self._guard_of()
        own = [] if guard is None else [one.watch for one in guard.optimizers if one.optimizer is self.optimizer]
        return own[0] if own else None

    def _clip_at_hand(self) -> Clip | str | None:
        """Return the clip that the program has just called, else the guard's own."""
        trainer = getattr(unwrapped(self.model), "_trainer", None)
        bound = getattr(trainer, "gradient_clip_val", None)
        if bound:  # Lightning's trainer clips between backward and step, inside of the closure.
            by_value = "value" in str(getattr(trainer, "gradient_clip_algorithm", ""))
            return Clip.value(-float(bound), float(bound)) if by_value else Clip.norm(float(bound))
        watch = self._watch()
        if watch is None or not watch.clips:
            return self._clip
        bound = watch.clips[-1].bound
        return Clip.norm(bound) if watch.clips[-1].kind == "norm" else Clip.value(-bound, bound)


def _place_of(watch: Any) -> Location | None:
    place: Location | None = watch.loop.clip_place
    return place
