"""What the watch of an optimizer calls in each of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Handler(Protocol):
    """Whoever made the watch, and reads it when it is called."""

    def before_step(self) -> None:
        """The row of the step is closed; the gradients are as the optimizer will find them."""

    def again(self) -> None:
        """A closure was evaluated once more in the same step: its gradients are there."""

    def after_step(self) -> None:
        """The step is taken."""

    def after_unseen_step(self) -> None:
        """A step was taken that called no hook; its row is closed, and nothing can be done about it any more."""

    def left_out(self, step: int, loss: Any) -> None:
        """A loss scale left this step out, whose gradients were not finite. ``loss``: a number, or a function that reads it."""

    def judge(self) -> None:
        """The loop makes a mistake that is worth a judgement at once."""

    def guarded(self, work: Callable[[], None]) -> None:
        """Call ``work``; nothing that it raises may reach the training, other than what the user asked for."""
