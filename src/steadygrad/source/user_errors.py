"""Exceptions of the user's own code, kept apart from our errors and our failures, which never count as the user's.

On the way in theirs is a cause, on the way out it is as it was. Whose it is, the innermost frame says that is not torch's or
Python's own; where we only hand a call on to torch, what torch raises is theirs.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from steadygrad.errors import InternalError, SteadygradError, UserCodeError, in_one_line
from steadygrad.source.spans import is_user_file

_MEASURES = {
    *(f"copies/{name}" for name in ("copying", "holding", "nested", "rebinding")),
    *(
        f"probe/{name}"
        for name in ("attention", "backward", "blame", "flow", "graph", "layout", "recurrence", "run_probe")
    ),
    *(f"probe/{name}" for name in ("sampling", "tape", "taped", "to_records", "trunk_path", "units")),
    *("source/originals", "steptest/mixing", "steptest/plain_step", "steptest/run_steptest"),
}
"""Files that look at what a pass gave."""

_HANDS_ON = {
    "__torch_function__",
    "_called",
    "_applied",
    "_wrapped",
    "watch_backward",
    "closure",
    "gradients_of",
    "one_step",
    "on_copy",
}
"""Functions in them that call torch or the user's code on the user's behalf."""


@contextmanager
def running_theirs(words: str) -> Iterator[None]:
    """Turn an exception of the user's code into a ``UserCodeError`` with these words; ours and a lack of memory stay.

    A failure of our own becomes an ``InternalError`` that says so.
    """
    try:
        yield
    except (SteadygradError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        where = _our_own(error)
        if where is not None:
            raise InternalError(
                f"steadygrad itself failed on this model, which is not at fault: {in_one_line(error)} ({where}); please report "
                "it with the kinds of tensors that the model is given and holds"
            ) from error
        raise UserCodeError(words) from error


def _our_own(error: Exception) -> str | None:
    """The file and line of ours that failed; None where the exception is the user's."""
    home = Path(__file__).parents[1]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if home in path.parents:
            measures = path.relative_to(home).with_suffix("").as_posix() in _MEASURES
            return f"{path.name}:{line}" if measures and frame.f_code.co_name not in _HANDS_ON else None
        if is_user_file(str(path)):
            return None
    return None


@contextmanager
def raised_as_theirs() -> Iterator[None]:
    """Let the cause of a ``UserCodeError`` go on in its place, with one line of ours added."""
    try:
        yield
    except UserCodeError as error:
        if error.__cause__ is None:
            raise
        error.__cause__.add_note(f"steadygrad: {error}")
        raise error.__cause__ from None
