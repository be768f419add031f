"""What the user's own code raises, told apart from what we say: on the way in as a cause, on the way out as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from steadygrad.errors import SteadygradError, UserCodeError


@contextmanager
def running_theirs(words: str) -> Iterator[None]:
    """Turn an exception of the user's code into a ``UserCodeError`` with these words; ours and a lack of memory stay."""
    try:
        yield
    except (SteadygradError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        raise UserCodeError(words) from error


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
