"""A thread that prints nothing and warns of nothing, while the others print and warn as before.

Standard output, standard error and the filters of warnings are shared by all threads; what is put in their place looks up who
writes. May rely on the standard library alone.
"""

from __future__ import annotations

import io
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import Any

_turn = threading.Lock()
"""Held while somebody falls silent or speaks again."""


@contextmanager
def silent() -> Iterator[None]:
    """Within the block, this thread's standard output, standard error and warnings go nowhere."""
    thread = get_ident()
    of_this_thread = _OfThread(thread)
    ignore: Any = ("ignore", of_this_thread, Warning, None, 0)
    filters: Any = warnings.filters
    with _turn:
        covers = []
        for name in _STREAMS:
            stream = getattr(sys, name)
            cover = stream if isinstance(stream, _Output) else _Output(stream)
            cover.silent.append(thread)
            setattr(sys, name, cover)
            covers.append((name, cover))
        filters.insert(0, ignore)
    try:
        yield
    finally:
        with _turn:
            for name, cover in covers:
                cover.silent.remove(thread)
                if not cover.silent and getattr(sys, name) is cover:
                    setattr(sys, name, cover.beneath)
            of_this_thread.ended = True
            with suppress(ValueError):
                filters.remove(ignore)


_STREAMS = ("stdout", "stderr")


class _Output:
    """Stands in for ``sys.stdout`` or ``sys.stderr``: a sink for the threads named, what it covers for all others."""

    def __init__(self, beneath: Any) -> None:
        self.beneath = beneath
        self.silent: list[int] = []
        """The threads, one as often as it asked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(io.StringIO() if get_ident() in self.silent else self.beneath, name)


class _OfThread:
    """In the place of a filter's pattern: matches every warning of one thread, until it has ended."""

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.ended = False

    def match(self, _text: str) -> bool:
        return not self.ended and get_ident() == self.thread
