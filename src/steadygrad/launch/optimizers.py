"""Tells of each optimizer that the program makes, when it has been made entirely.

Every class of optimizers has its ``__init__`` covered as it is defined; the outermost ``__init__`` to return is the one that
finished it. Told of are optimizers of the user's program only: those made while a function of this package runs are copies
that it tries something on. Knows ``torch.optim.Optimizer`` by the module that is handed in; must not import torch.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from steadygrad.frames import not_counted
from steadygrad.launch.tracebacks import is_ours

Tell = Callable[[Any, FrameType | None], None]
"""Called with an optimizer and the frame that made it."""

_COVERED = "_steadygrad_covers"
_ROOMS_BELOW_THE_PROGRAM = (
    *("/steadygrad/launch/", "/steadygrad/cli/", "/steadygrad/__main__.py"),
    *("/steadygrad/watch/", "/steadygrad/torch_internals/"),
)
"""Through which the program's own calls pass."""


class _Building(threading.local):
    """The optimizers under construction in this thread, outermost first."""

    def __init__(self) -> None:
        self.stack: list[_Site] = []


class _Site:
    """One optimizer under construction."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.begun = False
        """Whether ``Optimizer.__init__`` itself ran: a wrapper that shares another's groups never calls it."""
        self.inner: list[tuple[Any, FrameType | None]] = []
        """Optimizers that were made meanwhile, to be used by this one."""


_building = _Building()


def tell_of_optimizers(module: ModuleType, tell: Tell) -> None:
    """Call ``tell(optimizer, frame)`` for each one made from now on. ``module`` is ``torch.optim.optimizer``."""
    base: Any = module.Optimizer
    if _COVERED in vars(base):
        return
    waiting = [base]
    for kind in waiting:
        _cover(kind, tell, base)
        waiting.extend(kind.__subclasses__())
    _cover_those_to_come(base, tell)
    setattr(base, _COVERED, True)


def _cover(kind: Any, tell: Tell, base: Any) -> None:
    """Put a wrapper around the class's own ``__init__``, where it has one."""
    own = vars(kind).get("__init__")
    if own is None or hasattr(own, _COVERED) or not callable(own):
        return

    @functools.wraps(own)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        stack = _building.stack
        if not any(site.optimizer is self for site in stack):
            stack.append(_Site(self))
            try:
                own(self, *args, **kwargs)
            except BaseException:
                stack.pop()
                raise
            finished = stack.pop()
            if finished.begun or kind is base:
                _finished(finished, stack, sys._getframe(1), tell)
            elif finished.inner:
                _hand_on(finished.inner, stack, tell)
            return
        own(self, *args, **kwargs)
        if kind is base:
            next(site for site in stack if site.optimizer is self).begun = True

    setattr(not_counted(__init__), _COVERED, True)
    kind.__init__ = __init__


def _cover_those_to_come(base: Any, tell: Tell) -> None:
    own: Any = vars(base).get("__init_subclass__")

    def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:  # noqa: N807
        if own is not None:
            own.__func__(cls, **kwargs)
        else:
            super(base, cls).__init_subclass__(**kwargs)
        _cover(cls, tell, base)

    base.__init_subclass__ = classmethod(__init_subclass__)


def _finished(site: _Site, stack: list[_Site], frame: FrameType | None, tell: Tell) -> None:
    """Report the optimizers that step the parameters, among one and those it made for itself; or leave them to the outer one."""
    mine = _ids(site.optimizer)
    # One inner optimizer with all the parameters is the one that steps (SAM); several with parts are shards (ZeRO).
    stepping = [(one, where) for one, where in site.inner if mine <= _ids(one)]
    _hand_on(stepping or [(site.optimizer, frame)], stack, tell)


def _hand_on(made: list[tuple[Any, FrameType | None]], stack: list[_Site], tell: Tell) -> None:
    if stack:
        stack[-1].inner.extend(made)
        return
    for optimizer, frame in made:
        if not ours_at_work(frame):
            tell(optimizer, frame)


def _ids(optimizer: Any) -> set[int]:
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}


def ours_at_work(frame: FrameType | None) -> bool:
    """Return whether a function of this package is at work, other than those that run the program: it works on copies."""
    while frame is not None:
        path = frame.f_code.co_filename
        if is_ours(path) and not any(room in path for room in _ROOMS_BELOW_THE_PROGRAM):
            return True
        frame = frame.f_back
    return False
