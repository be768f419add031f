"""The calls that the watch of an optimizer makes in each of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Handler(Protocol):
    """Whoever made the watch, and reads it when it is called."""

    def before_step(self) -> None:
        """Handle the closed row of the step; the gradients are as the optimizer will find them."""

    def again(self) -> None:
        """Handle another evaluation of the closure in the same step: its gradients are there."""

    def after_step(self) -> None:
        """Handle the end of the step."""

    def after_unseen_step(self) -> None:
        """Handle a step that called no hook: its row is closed, and it is too late to act on it."""

    def left_out(self, step: int, loss: Any) -> None:
        """Handle a step that a loss scale skipped for non-finite gradients. ``loss``: a number, or a function that reads it."""

    def judge(self) -> None:
        """Handle a mistake of the loop that deserves a judgement at once."""

    def guarded(self, work: Callable[[], None]) -> None:
        """Call ``work``; nothing that it raises may reach the training, other than what the user asked for."""
