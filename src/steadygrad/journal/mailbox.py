"""The items that the training's thread leaves for the writing thread: bounded, and without a wait.

A job is something to do with the store. Jobs that carry rows of a series may be dropped, oldest first, when more lie here
than ``ROOM`` bytes; all others are kept. May rely on the standard library; must not know of files.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")

ROOM = 32 << 20
"""Bytes of rows that wait at most."""

PERIOD = 0.5
"""Seconds from one commit to the next while there is something to commit: well within the second that may be lost."""


@dataclass(frozen=True, slots=True)
class Job(Generic[S]):
    """One thing to write; done again when its transaction was rolled back."""

    run: Callable[[S], None]
    rows: int = 0
    """Rows of a series in it; 0 = it must not be dropped."""
    size: int = 0


@dataclass(slots=True)
class Pile(Generic[S]):
    """Jobs in order, of which the oldest rows go when there are too many."""

    jobs: deque[Job[S]] = field(default_factory=deque)
    size: int = 0
    dropped: int = 0
    """Rows that were dropped and not yet reported."""

    def add(self, jobs: Iterable[Job[S]]) -> None:
        for job in jobs:
            self.jobs.append(job)
            self.size += job.size
        if self.size > ROOM:
            self._drop()

    def _drop(self) -> None:
        kept: deque[Job[S]] = deque()
        for job in self.jobs:
            # Down to three quarters, so that it isn't done at every row.
            if job.rows and self.size > ROOM * 3 // 4:
                self.size -= job.size
                self.dropped += job.rows
            else:
                kept.append(job)
        self.jobs = kept

    def remove(self, job: Job[S]) -> None:
        self.jobs.remove(job)
        self.size -= job.size

    def clear(self) -> None:
        self.jobs.clear()
        self.size = self.dropped = 0


class Mailbox(Generic[S]):
    """One writer takes what any thread puts."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler may put something while its own thread does.
        self._changed = threading.Condition(threading.RLock())
        self._pile: Pile[S] = Pile()
        self._waiting: list[Reply] = []
        self._closed = False

    def put(self, job: Job[S]) -> None:
        """Leave a job; returns at once."""
        with self._changed:
            if self._closed:
                return
            empty = not self._pile.jobs
            self._pile.add((job,))
            if empty:
                self._changed.notify()

    def ask(self, *, closing: bool = False) -> Reply:
        """Ask for all that lies here to be written now; the reply says when, and whether, it was."""
        reply = Reply()
        with self._changed:
            if self._closed:
                reply.give(False)
            else:
                self._waiting.append(reply)
                self._closed = closing
                self._changed.notify()
        return reply

    def take(self, pile: Pile[S], *, not_before: float) -> tuple[list[Reply], bool]:
        """Move what lies here onto ``pile``, once there is something and that moment (monotonic) is past, or when asked.

        Gives those who wait for it, and whether nothing more will come.
        """
        with self._changed:
            while not self._waiting and not self._closed:
                left = not_before - time.monotonic()
                if (self._pile.jobs or pile.jobs) and left <= 0:
                    break
                self._changed.wait(left if self._pile.jobs or pile.jobs else None)
            taken, self._pile = self._pile, Pile()
            waiting, self._waiting = self._waiting, []
            closed = self._closed
        pile.dropped += taken.dropped
        pile.add(taken.jobs)
        return waiting, closed


class Reply:
    """The answer of the writing thread: whether what was asked for is done."""

    def __init__(self) -> None:
        self._given, self._done = threading.Event(), False

    def give(self, done: bool) -> None:
        self._done = done
        self._given.set()

    def wait(self, timeout: float) -> bool:
        """Wait until it is done: True; False where it failed or took too long."""
        return self._given.wait(timeout) and self._done
