"""Tracebacks as they would be had nothing of ours stood between: frames of this package are taken out of an exception.

May rely on the standard library alone; changes an exception that nobody will catch any more, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

_OURS = str(Path(__file__).resolve().parent.parent) + "/"


def is_ours(filename: str) -> bool:
    """Return whether a file belongs to this package."""
    return filename.startswith(_OURS)


def take_ours_out(error: BaseException) -> BaseException:
    """The exception, with the frames of ours gone from it, from its causes, and from the members of a group."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _theirs(one.__traceback__)
        waiting.extend(linked for linked in (one.__cause__, one.__context__) if linked is not None)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
    return error


def _theirs(traceback: TracebackType | None) -> TracebackType | None:
    links: list[TracebackType] = []
    while traceback is not None:
        links.append(traceback)
        traceback = traceback.tb_next
    kept: TracebackType | None = None
    for link in reversed(links):
        if not is_ours(link.tb_frame.f_code.co_filename):
            kept = TracebackType(kept, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return kept
