"""Carries the watch into the processes that the program starts through ``multiprocessing``.

A forked child has all of it in memory. To one that is spawned, the process object carries a token, and unpickling the token
installs the watch there, before the target is called; no frame of ours comes between. Workers of a ``DataLoader`` get no
token. May rely on the standard library; must not know what is installed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from steadygrad.frames import not_counted

_WORKERS = ("torch.utils.data", "multiprocessing.managers", "multiprocessing.resource_sharer")
"""Modules whose processes train nothing."""

_COVERED = "_steadygrad_covers"


class Token:
    """In a process object: what to call in the child, and with what."""

    def __init__(self, install: Callable[..., None], *arguments: Any) -> None:
        self.install, self.arguments = install, arguments

    def __reduce__(self) -> Any:
        return _arrive, (self.install, self.arguments)


def _arrive(install: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Install the watch when unpickled; only a spawned process that is still being set up needs it."""
    if getattr(sys.modules["multiprocessing.process"].current_process(), "_inheriting", False):
        install(*arguments)


def follow_children(module: ModuleType, token: Token, started: Callable[[], None]) -> None:
    """Let each process that is started from now on carry the token, and call ``started()`` for it.

    ``module`` is ``multiprocessing.process``.
    """
    base: Any = module.BaseProcess
    if hasattr(base.start, _COVERED):
        return
    original = base.start

    @functools.wraps(original)
    def start(self: Any) -> None:
        if not _is_worker(getattr(self, "_target", None)):
            self.__dict__["_steadygrad_token"] = token
            started()
        try:
            original(self)
        finally:
            self.__dict__.pop("_steadygrad_token", None)

    setattr(not_counted(start), _COVERED, True)
    base.start = start


def _is_worker(target: Any) -> bool:
    home = getattr(target, "__module__", None) or ""
    return home.startswith(_WORKERS)


def name_of_child() -> str:
    """Return how ``multiprocessing`` calls this process; "" where it did not start it."""
    module = sys.modules.get("multiprocessing.process")
    return str(module.current_process().name) if module is not None and module.parent_process() is not None else ""


def at_end_of_child(then: Callable[[], None]) -> bool:
    """Call ``then`` when a child that ``multiprocessing`` forked is done, which runs no ``atexit``; False elsewhere."""
    if not name_of_child():
        return False
    from multiprocessing.util import Finalize

    Finalize(None, then, exitpriority=-100)
    return True
