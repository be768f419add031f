"""Progress of a check on the standard error of a terminal, shown after one second and removed at the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def progress(target: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that prints what is going on."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    import steadygrad.report.quiet_rich  # noqa: F401  # isort: skip
    from rich.console import Console

    status = Console(stderr=True).status(f"{target}: loading")
    timer = threading.Timer(PATIENCE, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda what: status.update(f"{target}: {what}")
    finally:
        timer.cancel()
        timer.join()
        status.stop()
