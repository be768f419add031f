"""A thread that prints nothing and warns of nothing, while the others print and warn as before.

Standard output and the filters of warnings are shared by all threads; what is put in their place looks up who writes.
May rely on the standard library alone.
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
    """Within the block, this thread's standard output and warnings go nowhere."""
    thread = get_ident()
    of_this_thread = _OfThread(thread)
    ignore: Any = ("ignore", of_this_thread, Warning, None, 0)
    filters: Any = warnings.filters
    with _turn:
        output = sys.stdout if isinstance(sys.stdout, _Output) else _Output(sys.stdout)
        output.silent.append(thread)
        sys.stdout = output
        filters.insert(0, ignore)
    try:
        yield
    finally:
        with _turn:
            output.silent.remove(thread)
            if not output.silent and sys.stdout is output:
                sys.stdout = output.beneath
            of_this_thread.ended = True
            with suppress(ValueError):
                filters.remove(ignore)


class _Output:
    """Stands in for ``sys.stdout``: a sink for the threads named, what it covers for all others."""

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
