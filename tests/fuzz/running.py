"""Runs the command line in this process on what was given, and holds it to its promises: words, control characters, time, memory.

An exception that leaves ``main`` fails the test by itself, as the traceback that it would be.
"""

from __future__ import annotations

import io
import re
import resource
import signal
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from steadygrad.cli import main

LONGEST = 10
"""Seconds for one input."""
STOPPED = 130
"""Exit code of what somebody stopped."""
GROWTH = 512 * 2**10
"""KiB by which one input may make the process grow."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
OURS = re.compile(r'File "[^"]*/src/steadygrad/')


class HangError(Exception):
    """It took longer than anybody waits."""


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def hold(
    words: list[str], *, longest: float = LONGEST, stopped_after: float | None = None, terminal: bool = False
) -> int:
    """Run it and check all that holds for any input; the exit code. ``stopped_after``: so many seconds later it is stopped;
    ``terminal``: standard output is one."""
    out = (_Terminal if terminal else io.TextIOWrapper)(io.BytesIO(), encoding="utf-8", errors="strict")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    before = _peak()
    with redirect_stdout(out), redirect_stderr(err), _at_most(longest, stopped_after):
        try:
            code = main(words)
        except SystemExit as error:
            # A program that was run, or what click ends by itself.
            code = error.code if isinstance(error.code, int) else 1
    assert _peak() - before < GROWTH, f"{(_peak() - before) // 2**10} MiB more"
    told, complaint = (_text(stream) for stream in (out, err))
    assert code in (0, 1, 2) or (code == STOPPED and stopped_after is not None), code
    assert not OURS.search(complaint), complaint
    assert code != 2 or complaint.count("steadygrad: error: ") == 1, complaint
    for text in (told, complaint):
        raw = sorted({one for one in COLOUR.sub("", text) if unicodedata.category(one) == "Cc" and one not in "\n\t"})
        assert not raw, (raw, text[:2000])
    return code


def _text(stream: Any) -> str:
    stream.flush()
    return str(stream.buffer.getvalue().decode("utf-8"))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _at_most(seconds: float, stopped_after: float | None) -> Iterator[None]:
    def ring(*_: object) -> None:
        if stopped_after is not None:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            signal.signal(signal.SIGALRM, late)
            raise KeyboardInterrupt
        late()

    def late(*_: object) -> None:
        raise HangError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds if stopped_after is None else stopped_after)
    path = list(sys.path)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.path[:] = path
