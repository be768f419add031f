"""At the end of the process a guard reads what is unread and closes its journal."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable
from typing import Protocol


class Detachable(Protocol):
    def detach(self) -> None: ...


def detach_at_exit(made: Detachable) -> Callable[[], None]:
    """Detach it when the process ends, if it is still alive then; gives what was registered."""
    reference = weakref.ref(made)

    def finish() -> None:
        alive = reference()
        if alive is not None:
            alive.detach()

    atexit.register(finish)
    return finish
