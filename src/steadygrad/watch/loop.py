"""The use of gradients between two steps of a training loop: it clears them, adds to them, uses them twice.

Known from the identity and the version counter of one gradient, which cost nothing to look at; nothing is read.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from steadygrad.record import Location
from steadygrad.torch_internals.tensors import writes_to
from steadygrad.watch.clips import UserClip
from steadygrad.watch.places import place_of_call

NEWS = 5
"""Times that something is news; later it is known."""

Mark = tuple[int, int]
"""Identity and version of a gradient."""
_NONE: Mark = (0, 0)


class Loop:
    """One optimizer's part of the loop. Counts go up by one for each step in which something was seen."""

    def __init__(self) -> None:
        self.steps = 0
        self.accumulated = 0
        """Consecutive steps whose gradients hold those of an earlier step: nobody cleared them between step and backward."""
        self.accumulated_since = 0
        self.added = self.added_since = 0
        """The same, consecutive or not: a loop that clears every second time."""
        self.unscaled = self.unscaled_since = 0
        """Steps that used gradients as a ``GradScaler`` had multiplied them."""
        self.repeated = 0
        """Steps that used the gradients of the step before again: there was no backward pass between."""
        self.repeated_since = 0
        self.cleared = 0
        """Consecutive steps that had nothing to go by: the gradients were cleared between the backward pass and the step."""
        self.cleared_since = 0
        self.unheard = 0
        """Steps whose gradients were made since the step before, and by no backward pass that was heard."""
        self.scaled_clips = self.used_clips = self.double_clips = self.part_clips = 0
        """Steps with a clip of gradients that still hold a loss scale; that a step had used before; after another clip; of
        some parameters only."""
        self.since: dict[str, int] = {}
        """The first step with each of these."""
        self.part = (0, 0)
        """Of the last such step: how many gradients the clips were given, of how many."""
        self.news = False
        """Whether the last step did again what is a mistake when it is done again and again."""
        self.clip_place: Location | None = None
        """Where the program clipped first."""
        self._clipped = self._scaled = False
        self._at_step = _NONE
        self._used: Callable[[], Any] = _nothing
        """The gradient that the last step had: another one may get its identity once it is gone."""
        self._before = self._after = _NONE
        self._heard = self._dirty = False
        self._backwards = 0

    def backward_begins(self, parameters: Sequence[Tensor]) -> bool:
        """About to add to the gradients; whether those of earlier backward passes were cleared without a step."""
        mark = self._before = _mark(parameters)
        if self._backwards == 0:
            # Nothing has touched this gradient since a step used it: what backward adds is added to it.
            self._dirty = mark != _NONE and mark == self._at_step and self._holds_something(parameters)
            return False
        if mark == self._after:
            return False
        self._dirty = False
        self._backwards = 0
        return True

    def _holds_something(self, parameters: Sequence[Tensor]) -> bool:
        """Return whether the gradient is not all zero: ``p.grad.data.zero_()`` clears it and leaves its version as it is.

        Read until it is known, so that a loop on a device waits for it a few times at most.
        """
        gradient = next(p.grad for p in parameters if p.grad is not None)
        return self.added >= NEWS or bool(gradient.detach().any())

    def backward_ended(self, parameters: Sequence[Tensor]) -> bool:
        """Return whether this backward pass reached the parameters."""
        self._heard = True
        mark = self._after = _mark(parameters)
        if mark == self._before or mark == _NONE:
            return False
        self._backwards += 1
        return True

    def clipping(self, parameters: Sequence[Tensor]) -> bool:
        """Note that the program clips; return whether a step has used the present gradients, with nothing added since."""
        if not self._clipped:
            self._clipped, self.clip_place = True, place_of_call()
        if self._backwards != 0:
            return False
        mark = _mark(parameters)
        return mark != _NONE and mark[0] == self._at_step[0]

    def stepped(
        self,
        backwards: int,
        clips: Sequence[UserClip],
        gradients: int,
        norms: Sequence[float] | None = None,
        *,
        emptied: bool = False,
    ) -> None:
        """Note that a step begins, with so many gradients, their norms where known, after these clips. ``emptied``: they were
        set to zero since they were read."""
        self.steps += 1
        none = backwards == 0 and self._backwards == 0
        used = self._used() if none and self._after == self._at_step else None
        # Written to by nobody, by the clip or with zeros: else it holds what no backward pass was heard to add.
        repeated = used is not None and (bool(clips) or writes_to(used) == self._at_step[1] or _all_zero(norms))
        self.unheard += none and gradients > 0 and used is None and not self._heard
        self.repeated_since = self.steps if self.repeated == 0 else self.repeated_since
        self.repeated += repeated
        dirty = self._dirty and self._backwards > 0
        self.accumulated_since = self.steps if self.accumulated == 0 else self.accumulated_since
        self.accumulated = self.accumulated + 1 if dirty else 0
        self.added_since = self.steps if self.added == 0 else self.added_since
        self.added += dirty
        cleared = self._backwards > 0 and (emptied or gradients == 0)
        self.cleared_since = self.steps if self.cleared == 0 else self.cleared_since
        self.cleared = self.cleared + 1 if cleared else 0
        self.news = 0 < self.accumulated <= NEWS or 0 < self.cleared <= NEWS or (repeated and self.repeated <= NEWS)
        self.news |= self._scaled and self.unscaled <= NEWS
        self._scaled = False
        if clips:
            one, *more = clips
            scaled, used, given = one.scaled, one.used, one.count
            if not (more or scaled or used) and given == gradients:
                return  # As in most loops.
            for one in more:
                scaled, used, given = scaled or one.scaled, used or one.used, given + one.count
            self.scaled_clips += scaled
            self.used_clips += used
            self.news |= (scaled and self.scaled_clips <= NEWS) or (used and self.used_clips <= NEWS)
            self.double_clips += given > gradients
            if given < gradients:
                self.part_clips += 1
                self.part = (given, gradients)
            seen = {"scaled": scaled, "used": used, "double": given > gradients, "part": given < gradients}
            for name, is_so in seen.items():
                if is_so:
                    self.since.setdefault(name, self.steps)

    def untouched(self, parameters: Sequence[Tensor]) -> bool:
        """Return whether nobody has written to the gradients since the backward pass."""
        return self._backwards > 0 and _mark(parameters) == self._after

    def steps_scaled(self) -> None:
        """Note that the coming step finds gradients that hold a loss scale, and takes them unchanged."""
        self.unscaled_since = self.steps + 1 if self.unscaled == 0 else self.unscaled_since
        self.unscaled += 1
        self._scaled = True

    def taken(self, parameters: Sequence[Tensor]) -> None:
        """Note that the step has been taken."""
        gradient = _first(parameters)
        self._at_step = self._after = _NONE if gradient is None else (id(gradient), writes_to(gradient))
        self._used = _nothing if gradient is None else weakref.ref(gradient)
        self._backwards = 0
        self._heard = self._dirty = False

    def forget_step(self) -> None:
        """Forget what the step has used, which is unknown: the gradients that it left are not judged."""
        self._at_step = _NONE


def _mark(parameters: Sequence[Any]) -> Mark:
    """Return the mark of the first gradient that there is."""
    gradient = _first(parameters)
    return _NONE if gradient is None else (id(gradient), writes_to(gradient))


def _first(parameters: Sequence[Any]) -> Any:
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            return gradient
    return None


def _all_zero(norms: Sequence[float] | None) -> bool:
    return norms is not None and not any(norms)


def _nothing() -> None:
    return None
