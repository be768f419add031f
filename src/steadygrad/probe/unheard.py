"""What a forward pass prints and logs while it is run once more for a look, in this thread: nothing of it is heard."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from steadygrad.torch_internals import replaced


@contextmanager
def unheard() -> Iterator[None]:
    """Within the block this thread's words to standard output, standard error and loggers are dropped; files get theirs."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    muffled = {name: _Muffled(stream) for name, stream in before.items()}
    for name, stream in muffled.items():
        setattr(sys, name, stream)
    try:
        with replaced(logging.Logger, "callHandlers", lambda original, logger, record: None):
            yield
    finally:
        for name, stream in muffled.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, before[name])


class _Muffled:
    """A stream that takes nothing from one thread, and is the stream below for all others."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._thread = stream, get_ident()

    def write(self, text: str) -> int:
        return len(text) if get_ident() == self._thread else int(self._stream.write(text))

    def writelines(self, lines: Any) -> None:
        if get_ident() != self._thread:
            self._stream.writelines(lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
