"""``Journal``: what the guard calls. Each call copies what it is given into a queue and returns.

After the start nothing here waits, unless asked to, and nothing raises: a disk that is full or a folder that is closed is
reported once, in one sentence, and the run goes on. In a forked child a journal does nothing. May rely on numpy and on the
thread that writes; must not know who measured.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from steadygrad.journal.columns import floats, losses, points, singles, whole
from steadygrad.journal.mailbox import Job, Mailbox
from steadygrad.journal.store import Store
from steadygrad.journal.thin import Columns
from steadygrad.journal.writer_thread import Writer
from steadygrad.record import to_jsonable
from steadygrad.record.training import Action, Alarm, Look, Watched

START = 10.0
"""Seconds to wait for the file to be opened; a disk that is slower than that is waited for by the thread alone."""

CLOSE = 10.0
"""Seconds to wait at the end for what is still to be written."""


class Journal:
    """The journal of one run, in one file; an existing journal is continued in a new session.

    Raises ``JournalError`` where the file exists and cannot be continued. Columns of arrays are the parameters that
    ``watched`` has for that optimizer, in its order. ``complain`` may be called from the thread that writes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        about: dict[str, str | float],
        watched: Sequence[Watched],
        complain: Callable[[str], None],
    ) -> None:
        self._process = os.getpid()
        self._widths: dict[int, int] = {}
        for one in watched:
            self._widths[one.optimizer] = self._widths.get(one.optimizer, 0) + 1
        self._misused = False
        self._mailbox: Mailbox[Store] = Mailbox()
        self._writer = Writer(Path(path), dict(about), tuple(watched), self._mailbox, complain)
        self._writer.start(START)
        # Also closes it when it is forgotten, and at the end of the process.
        self._closing = weakref.finalize(self, _close, self._process, self._writer, self._mailbox)

    @property
    def path(self) -> Path:
        """Return the path of the file: another one than at first, where that was taken away."""
        return self._writer.path

    @property
    def lost(self) -> str:
        """Return why nothing is being written now; "" while all is well."""
        return self._writer.lost

    def rows(
        self,
        optimizer: int,
        steps: ArrayLike,
        times: ArrayLike,
        norms: ArrayLike,
        totals: ArrayLike,
        factors: ArrayLike,
        rates: ArrayLike,
    ) -> None:
        """``k`` steps of an optimizer: norms of shape (k, parameters), all others (k,). Norms are those before any clip.

        Norms: NaN where there was no gradient, infinite where it was not finite. Factors: 1 where nothing was clipped.
        """

        def columns() -> Columns:
            return points(steps, times, norms, totals, factors, rates, width=self._widths[optimizer])

        self._series("points", optimizer, columns)

    def losses(self, steps: ArrayLike, values: ArrayLike, *, optimizer: int = 0) -> None:
        """Write the loss, at the steps at which it is known; of several optimizers each may have its own."""
        self._series("losses", int(optimizer), lambda: losses(steps, values))

    def extremes(self, step: int, lowest: float, highest: float, lowest_rank: int, highest_rank: int) -> None:
        """Write the least and the greatest total norm among the processes, and their ranks."""

        def columns() -> Columns:
            return {
                "first": whole(step),
                "last": whole(step),
                "lowest": floats(lowest),
                "highest": floats(highest),
                "lowest_rank": whole(lowest_rank),
                "highest_rank": whole(highest_rank),
            }

        self._series("extremes", 0, columns)

    def weights(self, optimizer: int, step: int, weight_norms: ArrayLike, update_ratios: ArrayLike) -> None:
        """Norms of the weights and update ratios at one step, of shape (parameters,); NaN = not measured."""

        def job() -> Job[Store]:
            width = self._widths[optimizer]
            norms, ratios = (singles(one).reshape(width).tobytes() for one in (weight_norms, update_ratios))
            number = int(step)
            return Job(lambda store: store.weights(optimizer, number, norms, ratios), 1, 8 * width + 100)

        self._put(job)

    def alarm(self, alarm: Alarm) -> None:
        """Write an alarm: a new one, or the present state of one with the same number."""
        self._put(lambda: _alarm_job(alarm.number, alarm.step, _text(alarm)))

    def action(self, action: Action) -> None:
        """Something that was done to the run."""
        self._put(lambda: _record_job("actions", action.step, _text(action)))

    def look(self, look: Look) -> None:
        """Write a full probe of a step."""
        self._put(lambda: _record_job("looks", look.step, _text(look)))

    def note(self, step: int, text: str) -> None:
        """Write a line about the run itself."""
        self._put(lambda: _record_job("notes", step, str(text)))

    def summary(self, values: dict[str, float]) -> None:
        """Write running totals; the latest of each name is kept."""

        def job() -> Job[Store]:
            plain = {str(name): float(value) for name, value in values.items()}
            return Job(lambda store: store.summary(plain))

        self._put(job)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was given is on disk; False where it could not be written, or not in time."""
        return self._mine() and self._mailbox.ask().wait(timeout)

    def close(self) -> None:
        """Write what is left and end the session; the journal does nothing afterwards."""
        self._closing()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _series(self, table: str, optimizer: int, columns: Callable[[], Columns]) -> None:
        def job() -> Job[Store] | None:
            made = columns()
            rows = len(made["first"])
            if any(len(one) != rows for one in made.values()):
                raise ValueError("columns of different length")
            size = sum(one.nbytes for one in made.values())
            return Job(lambda store: store.append(table, optimizer, made), rows, size) if rows else None

        self._put(job)

    def _put(self, make: Callable[[], Job[Store] | None]) -> None:
        if not self._mine():
            return
        try:
            job = make()
        except Exception as error:
            # A training run must not end because its journal was given something odd.
            if not self._misused:
                self._misused = True
                self._writer.complain(
                    f"the journal {self.path} was given what it cannot keep, and left it out: {error}"
                )
            return
        if job is not None:
            self._mailbox.put(job)

    def _mine(self) -> bool:
        """Not so in a forked child, which has no writer, and may have been born while a lock was held."""
        return os.getpid() == self._process


def _close(process: int, writer: Writer, mailbox: Mailbox[Store]) -> None:
    if os.getpid() == process:
        mailbox.ask(closing=True).wait(CLOSE)
        writer.join(CLOSE)


def _alarm_job(number: int, step: int, body: str) -> Job[Store]:
    return Job(lambda store: store.alarm(int(number), int(step), body))


def _record_job(table: str, step: int, text: str) -> Job[Store]:
    return Job(lambda store: store.record(table, int(step), text))


def _text(record: Any) -> str:
    # A lone surrogate (from a path that is not UTF-8) stays an escape, which SQLite takes.
    return json.dumps(to_jsonable(record), allow_nan=False)
