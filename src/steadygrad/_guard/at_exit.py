"""At the end of the process a guard reads what is unread and closes its journal; nothing else keeps it alive until then."""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import Callable
from typing import Any, Protocol


class Detachable(Protocol):
    def detach(self) -> None: ...


class Forgettable(Detachable, Protocol):
    shared: bool
    ending: Ending

    @property
    def looking(self) -> Removable: ...

    @property
    def voice(self) -> Complaining: ...


class Complaining(Protocol):
    def complain(self, line: str) -> None: ...


class Removable(Protocol):
    def remove(self) -> None: ...


class Ending:
    """Detaches a guard when the process ends, if it is still alive then; and says when it is over, however it ended."""

    def __init__(self, made: Detachable) -> None:
        self._made = weakref.ref(made)
        self.then: Callable[[Any], None] | None = None
        """Called with the guard when it is detached, or collected with its optimizers."""
        atexit.register(self._finish)

    def _finish(self) -> None:
        alive = self._made()
        if alive is not None:
            alive.detach()

    def over(self, made: Any) -> None:
        """Note that the guard is detached, or about to go."""
        atexit.unregister(self._finish)
        if self.then is not None:
            self.then(made)


def detach_forgotten(made: Forgettable) -> None:
    """Read what is unread and close the journal, when the guard is collected together with its optimizers.

    No model runs in a collection, so alarms come without a look; and where processes share the model nothing is read, since
    they collect at different times.
    """
    if sys.is_finalizing():
        return
    made.looking.remove()
    if made.shared:
        made.ending.over(made)
        return
    try:
        made.detach()
    except Exception as error:
        made.voice.complain(f"the last steps could not be read ({type(error).__name__}: {error})")


def weakly(method: Callable[[str], None]) -> Callable[[str], None]:
    """Call the method of an object that may go meanwhile; then do nothing. For a thread, which would hold the object."""
    reference = weakref.WeakMethod(method)

    def call(text: str) -> None:
        alive = reference()
        if alive is not None:
            alive(text)

    return call
