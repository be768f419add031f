"""The lines of a guard for the user: to the function given for them, or to standard error; notes once."""

from __future__ import annotations

import sys
from collections.abc import Callable

from steadygrad.terminal import wrapped


class Voice:
    """``speaks``: whether this process is the one that reports the run. ``given`` takes the lines; None: standard error."""

    def __init__(self, given: Callable[[str], None] | None, *, speaks: bool) -> None:
        self._given, self._speaks = given, speaks
        self._told: set[str] = set()

    def say(self, line: str) -> None:
        """Say it, where this process speaks for the run."""
        if self._speaks:
            self.print(line)

    def complain(self, line: str) -> None:
        """Report something about the guard itself, once, whichever process it is."""
        if self.is_new(line):
            self.print(line)

    def is_new(self, line: str) -> bool:
        """Return whether the line is given for the first time."""
        new = line not in self._told
        self._told.add(line)
        return new

    def print(self, line: str) -> None:
        """Say it, whichever process this is."""
        if self._given is not None:
            self._given(line)
        else:
            sys.stderr.write(f"{wrapped(f'steadygrad: {line}', sys.stderr, ' ' * 12)}\n")
            sys.stderr.flush()
