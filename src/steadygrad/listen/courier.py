"""Carries what the guard writes to one listener, on a thread of its own: a step never waits for a tracker.

What a listener raises is reported once, and what it was given then is dropped; the run and its journal go on. Where a listener
would take more than its share of the run's time, it gets fewer steps. In a forked child a courier does nothing. May rely on
the journal's mailbox; must not know what a listener does.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from steadygrad.errors import in_one_line
from steadygrad.journal.mailbox import PERIOD, Job, Mailbox, Pile, Reply
from steadygrad.listen.batch import Batch
from steadygrad.listen.listener import Listener
from steadygrad.record import Alarm

CLOSE = 60.0
"""Seconds to wait at the end for what is still to be sent: a server may be far away, and busy."""


class Courier:
    """One listener and its thread, which begins with the first thing to carry.

    ``share`` of the run's time is what the thread may use for steps, in [0, 1].
    """

    def __init__(self, listener: Listener, complain: Callable[[str], None], share: float = 1.0) -> None:
        self._share, self._began = share, time.monotonic()
        self._rows = 0
        """Steps that the listener got."""
        self._listener, self._complain = listener, complain
        self._name = getattr(listener, "name", type(listener).__name__)
        self._process = os.getpid()
        self._mailbox: Mailbox[Listener] = Mailbox()
        self._thread: threading.Thread | None = None
        self._sent: set[int] = set()
        """Numbers of the alarms that were handed over."""
        self._failed = 0
        self._closed = self._thinned = False
        self.seconds = 0.0
        """Processor time that the thread has used for steps."""

    def rows(self, batch: Batch) -> None:
        """Leave a batch; returns at once."""
        size = batch.norms.nbytes + sum(one.nbytes for one in batch.values.values())
        self._put(Job(lambda _: self._hand_over(batch), len(batch), size))

    def alarm(self, alarm: Alarm) -> None:
        """Leave an alarm, if it is a new one."""
        if alarm.number not in self._sent:
            self._sent.add(alarm.number)
            self._put(Job(lambda listener: listener.alarm(alarm)))

    def flush(self, timeout: float = CLOSE) -> bool:
        """Wait until the listener has all of it. False where that takes longer."""
        return self._thread is None or not self._mine() or self._mailbox.ask().wait(timeout)

    def close(self, timeout: float = CLOSE) -> None:
        """Hand over the rest, and close the listener. A second call does nothing."""
        if self._closed or not self._mine():
            return
        self._closed = True
        if self._thread is None:
            self._start()
        if not self._mailbox.ask(closing=True).wait(timeout):
            self._tell(f"{self._name} does not answer within {timeout:g} seconds: the last steps may be missing there")

    def _hand_over(self, batch: Batch) -> None:
        began = time.thread_time()
        part = batch.part(self._every(len(batch)))
        self._listener.rows(part)
        self._rows += len(part)
        self.seconds += time.thread_time() - began

    def _every(self, rows: int) -> int:
        """Return n where every n-th step of so many may be handed over, given the cost of those before."""
        if not self._rows or self._share >= 1:
            return 1
        left = self._share * (time.monotonic() - self._began) - self.seconds
        allowed = left / (self.seconds / self._rows)
        every = rows if allowed < 1 else max(1, math.ceil(rows / allowed))
        if every > 1 and not self._thinned:
            self._thinned = True
            self._tell(
                f"{self._name} gets some of the steps: all would take more than {self._share:g} of the run's time; next: "
                "raise overhead, or let steadygrad export JOURNAL --to write all of them afterwards"
            )
        return every

    def _put(self, job: Job[Listener]) -> None:
        if self._mine():
            self._mailbox.put(job)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"steadygrad {self._name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pile: Pile[Listener] = Pile()
        closed = False
        while not closed:
            waiting, closed = self._mailbox.take(pile, not_before=time.monotonic() + PERIOD)
            if pile.dropped:
                self._tell(f"{self._name} is slower than the run: {pile.dropped:,} steps are missing there")
            for job in pile.jobs:
                self._try(partial(job.run, self._listener))
            pile.clear()
            if closed:
                self._try(self._listener.close)
            _answer(waiting)

    def _try(self, send: Callable[[], object]) -> None:
        try:
            send()
        except Exception as error:
            self._failed += 1
            if self._failed == 1:
                self._tell(
                    f"{self._name} did not take what it was sent ({in_one_line(error)}); the run goes on; next: "
                    "steadygrad export JOURNAL --to writes it afterwards"
                )

    def _tell(self, line: str) -> None:
        # Whatever that raises is not the run's concern.
        with contextlib.suppress(Exception):
            self._complain(line)

    def _mine(self) -> bool:
        """Not so in a forked child, which has no thread, and may have been born while a lock was held."""
        return os.getpid() == self._process


def _answer(waiting: list[Reply]) -> None:
    for reply in waiting:
        reply.give(True)
