"""A function replaced while something is measured: in one thread for a block, or in all threads for longer.

A class or a module of torch's is shared by all threads, and a replacement must be seen by the thread that asked for it
alone. So what is put in the place of the function looks up who is calling: a thread with a replacement gets that, every
other thread gets the original. It may rely on torch. It must not know what is measured, or why.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from types import ClassMethodDescriptorType, FrameType, ModuleType
from typing import Any

from torch.compiler import is_dynamo_compiling

from steadygrad.torch_internals.compiling import Function, correct_notes, passed_over
from steadygrad.torch_internals.points import also

_HERE = (lambda: None).__code__.co_filename
_changing = threading.Lock()
"""Held while a cover is put on or taken off, never while anything is called."""


class _Cover:
    """The stand-in for one function: it sends each thread to its own replacement, or to the original."""

    def __init__(self, owner: type | ModuleType, name: str) -> None:
        self.owner = owner
        self.name = name
        self.found: Any = vars(owner)[name]
        """The original, a ``classmethod`` or ``staticmethod`` as such."""
        kind = next((kind for kind in (classmethod, staticmethod) if isinstance(self.found, kind)), None)
        original: Function = self.found if kind is None else self.found.__func__
        if isinstance(self.found, ClassMethodDescriptorType):  # From torch 2.14, Function.apply is C's.
            kind = classmethod
        replacements: dict[int, list[Function]] = {}
        self.original = original
        self.replacements = replacements

        def covered(*args: Any, **kwargs: Any) -> Any:
            # What another thread compiles just now is compiled as if nothing stood here.
            if is_dynamo_compiling():
                return original(*args, **kwargs)
            mine = replacements.get(get_ident())
            return mine[-1](*args, **kwargs) if mine else original(*args, **kwargs)

        self.function = functools.wraps(original)(passed_over(covered))
        self.put: Any = self.function if kind is None else kind(self.function)

    def stands(self) -> bool:
        """Return whether it is still what callers meet first, and nobody has put something else over it."""
        return vars(self.owner).get(self.name) is self.put


_covers: dict[tuple[int, str], list[_Cover]] = {}
"""The covers in place, by owner and name; the last one was put on last."""


@contextmanager
def replaced(owner: type | ModuleType, name: str, replacement: Function) -> Iterator[None]:
    """Within the block, calls of ``owner.name`` that this thread makes go to ``replacement(original, *args, **kwargs)``.

    ``original`` is the plain function: of a method it takes the instance first, of a class method the class. Other
    threads call the original as before, and may replace it too at the same time; the blocks may end in any order.
    """
    thread = get_ident()
    with _changing:
        cover = _standing(owner, name)
        mine = cover.replacements.setdefault(thread, [])
        ours: Function = functools.partial(replacement, mine[-1] if mine else cover.original)
        mine.append(ours)
    try:
        yield
    finally:
        with _changing:
            mine.remove(ours)
            if not mine:
                del cover.replacements[thread]
            _take_off_unused(owner, name)


def replace_everywhere(owner: type | ModuleType, name: str, replacement: Function) -> None:
    """Let ``owner.name``, a plain function, be ``replacement(original, *args, **kwargs)`` for all threads and for good."""
    original: Function = vars(owner)[name]

    def covered(*args: Any, **kwargs: Any) -> Any:
        if is_dynamo_compiling():
            return original(*args, **kwargs)
        return replacement(original, *args, **kwargs)

    setattr(owner, name, functools.wraps(original)(passed_over(covered)))


def put_over(owner: type | ModuleType, name: str, make: Callable[[Function], Function]) -> Function:
    """Let ``owner.name`` be ``make(original)`` for all threads, until ``take_off`` is called with what this returns."""
    original: Function = getattr(owner, name)
    cover: Function = functools.wraps(original)(passed_over(make(original)))
    _exchange(owner, name, original, cover)
    return cover


def take_off(owner: type | ModuleType, name: str, cover: Any) -> bool:
    """Put back what stood there. False where somebody has put something over ours, which stays below it."""
    if getattr(owner, name) is not cover:
        return False
    _exchange(owner, name, cover, cover.__wrapped__)
    return True


def _exchange(owner: type | ModuleType, name: str, old: Function, new: Function) -> None:
    """Put ``new`` in the place of ``old``, and wherever else torch exports or notes it."""
    setattr(owner, name, new)
    public = also((owner, name))
    if public is not None and getattr(*public) is old:
        setattr(*public, new)
    correct_notes(old, new)


def _standing(owner: type | ModuleType, name: str) -> _Cover:
    """The cover that callers meet first; where somebody has put something over ours, another one over that."""
    covers = _covers.setdefault((id(owner), name), [])
    if not covers or not covers[-1].stands():
        cover = _Cover(owner, name)
        setattr(owner, name, cover.put)
        covers.append(cover)
    return covers[-1]


def _take_off_unused(owner: type | ModuleType, name: str) -> None:
    """Put back what stood there. A cover that something else stands on stays, and sends every call to the original."""
    covers = _covers[id(owner), name]
    while covers and not covers[-1].replacements and covers[-1].stands():
        cover = covers.pop()
        setattr(owner, name, cover.found)
        correct_notes(cover.function, cover.original)
    if not covers:
        del _covers[id(owner), name]


def caller() -> FrameType:
    """Asked for in a replacement: the frame of the call. Between the two stands the cover, which is nobody's code."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith(_HERE) and frame.f_back is not None:
        frame = frame.f_back
    return frame
