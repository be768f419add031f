"""How a command that cannot do its work says so: one sentence on standard error, and the user's own traceback."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

_OURS = str(Path(__file__).parent.parent) + "/"


def complain(*parts: str) -> None:
    """One line on standard error."""
    print(f"steadygrad: error: {'; '.join(' '.join(part.split()) for part in parts)}", file=sys.stderr)


def show_user_traceback(error: BaseException) -> None:
    """The traceback of an exception of the user's, without frames of ours or of the import system."""
    told = traceback.TracebackException.from_exception(error)
    one: traceback.TracebackException | None = told
    while one is not None:
        theirs = [frame for frame in one.stack if not frame.filename.startswith((_OURS, "<frozen importlib"))]
        one.stack = traceback.StackSummary.from_list(theirs)
        one = one.__cause__ or one.__context__
    print("".join(told.format()), end="", file=sys.stderr)
