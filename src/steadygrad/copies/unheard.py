"""Silence for a forward pass that runs once more for a look, in this thread: its prints, logs and warnings are dropped."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from steadygrad.torch_internals.replacing import replaced


@contextmanager
def unheard() -> Iterator[None]:
    """Within the block this thread's words to standard output, standard error and loggers are dropped; files get theirs.

    A warning that is to be shown once is not used up: the program's own is still to come.
    """
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    muffled = {name: _Muffled(stream) for name, stream in before.items()}
    for name, stream in muffled.items():
        setattr(sys, name, stream)
    try:
        with (
            replaced(logging.Logger, "callHandlers", lambda *_: None),
            replaced(warnings, "_showwarnmsg", lambda *_: None),
            _warned_of_as_before(),
        ):
            yield
    finally:
        for name, stream in muffled.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, before[name])


@contextmanager
def _warned_of_as_before() -> Iterator[None]:
    """The places where ``warnings`` notes what was shown: a module's own names, and a table for what is shown once in all."""
    before = {id(names): dict(names) for names in _registries()}
    try:
        yield
    finally:
        for names in _registries():
            kept = before.get(id(names), {})
            if names != kept:
                names.clear()
                names.update(kept)


def _registries() -> list[dict[Any, Any]]:
    modules = [getattr(module, "__dict__", None) for module in list(sys.modules.values())]
    found = [names.get("__warningregistry__") for names in modules if isinstance(names, dict)]
    once: Any = warnings
    return [one for one in (*found, once.onceregistry) if isinstance(one, dict)]


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
