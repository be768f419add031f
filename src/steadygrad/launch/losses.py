"""Tells of the scalar that the program calls ``backward`` on: the loss of the step to come.

One more listener of ``watch.backward``, the first of its process: guards that are made because of what it reports are there
before the gradients are read. Imports torch, and with it nothing but what it listens to; import it when torch is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from steadygrad.watch import backward

Tell = Callable[[Tensor], None]
"""Called with a scalar tensor, what a ``GradScaler`` was given where one scaled it."""


class Losses:
    """Hears of every backward pass, as long as somebody holds it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        backward.listen(self)

    def backward_begins(self, loss: Tensor | None) -> None:
        if loss is not None:
            self._tell(loss)

    def backward_ended(self, loss: Tensor | None, scaler: Any) -> None:
        """Leave the gradients to the guards."""
