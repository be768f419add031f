"""The thread that writes a journal: it opens the file, commits twice a second, and outlasts a disk that is full.

The connection lives in this thread's frame and nowhere else: a forked child, in which the thread does not run, can
neither use nor close it. May rely on the store and the mailbox; must not know what is written.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from steadygrad.errors import JournalError
from steadygrad.journal.mailbox import PERIOD, Job, Mailbox, Pile, Reply
from steadygrad.journal.store import Store
from steadygrad.record.training import Watched

PATIENCE = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until the next try, after each that failed; the last one for ever."""

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be made or opened there",
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_LOCKED: "another process holds it",
    sqlite3.SQLITE_IOERR: "the disk refuses it",
    sqlite3.SQLITE_CORRUPT: "it has been damaged by another program",
    sqlite3.SQLITE_NOTADB: "it has been damaged by another program",
}


def beside(path: Path) -> Path:
    """A path in the same folder that no file has: with a number."""
    number, found = 2, path.with_name(f"{path.stem}-2{path.suffix}")
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


class Writer:
    """Owns the thread; all that it shares with others is what is here."""

    def __init__(
        self,
        path: Path,
        about: dict[str, str | float],
        watched: tuple[Watched, ...],
        mailbox: Mailbox[Store],
        complain: Callable[[str], None],
    ) -> None:
        self.lost = ""
        self.path = path
        """Of the file that is written now."""
        self._about, self._watched = about, watched
        self._mailbox, self._complain = mailbox, complain
        self._opened = threading.Event()
        self._refused: JournalError | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name="steadygrad journal", daemon=True)

    def start(self, timeout: float) -> None:
        """Start, and wait for the file to be opened. Raises ``JournalError`` where it is not one to write to."""
        if self.path.exists() and not self.path.is_file():
            what = "a folder" if self.path.is_dir() else "not a file"
            raise JournalError(f"the journal {self.path} is {what}; name a file")
        try:
            self._thread.start()
        except RuntimeError as error:
            self._lose(error)
            return
        self._opened.wait(timeout)
        if self._refused is not None:
            raise self._refused

    def join(self, timeout: float) -> None:
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def complain(self, sentence: str) -> None:
        """Tell the user; whatever that raises is not the run's concern."""
        try:
            self._complain(sentence)
        except Exception:
            return

    def _run(self) -> None:
        store: Store | None = None
        try:
            store = self._open(starting=True)
        except JournalError as error:
            self._refused = error
            return
        finally:
            self._opened.set()
        pile: Pile[Store] = Pile()
        tries = 0 if store is not None else 1
        closed = False
        while not closed:
            pause = PATIENCE[min(tries, len(PATIENCE)) - 1] if tries else PERIOD
            waiting, closed = self._mailbox.take(pile, not_before=time.monotonic() + pause)
            store = self._moved_on(store) if store is not None else self._open()
            done = store is not None and self._commit(store, pile)
            tries = 0 if done else tries + 1
            if closed and store is not None:
                self._finish(store, finished=done)
            _answer(waiting, done)

    def _moved_on(self, store: Store) -> Store | None:
        """The store, or one in a new file where another program has taken the file away: what it would write is lost there."""
        happened = store.what_happened()
        if not happened:
            return store
        with contextlib.suppress(sqlite3.Error):
            store.close()
        before, self.path = self.path, beside(self.path)
        self.complain(f"the journal {before} {happened}; the run goes on in {self.path}")
        return self._open()

    def _open(self, *, starting: bool = False) -> Store | None:
        try:
            return Store(self.path, self._about, self._watched)
        except JournalError as error:
            if starting:
                raise
            self._lose(error)
        except sqlite3.DatabaseError as error:
            if starting and _code(error) == sqlite3.SQLITE_CORRUPT:
                raise JournalError(f"{self.path} is damaged ({error}); name another file") from None
            self._lose(error)
        except Exception as error:
            self._lose(error)
        return None

    def _commit(self, store: Store, pile: Pile[Store]) -> bool:
        """One transaction with all of the pile; after a failure the pile stays."""
        at_fault: Job[Store] | None = None
        try:
            store.begin()
            for at_fault in pile.jobs:
                at_fault.run(store)
            at_fault = None
            if pile.dropped:
                why = self.lost or "more came than could be written"
                store.record("notes", 0, f"{pile.dropped:,} rows are missing: {why}")
            store.commit()
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                store.roll_back()
            if at_fault is None or _of_the_disk(error):
                self._lose(error)
                return False
            # What cannot be written on any disk must not keep the rest from being written.
            pile.remove(at_fault)
            self.complain(f"the journal {self.path} left out what it cannot keep: {_why(error)}")
            return self._commit(store, pile)
        pile.clear()
        self.lost = ""
        return True

    def _finish(self, store: Store, *, finished: bool) -> None:
        try:
            if finished:
                store.finish()
            store.close()
        except sqlite3.Error as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        why = _why(error)
        self.lost = f"the journal {self.path} cannot be written: {why}"
        if not self._told:
            self._told = True
            self.complain(f"{self.lost}; the run goes on, and it is tried again now and then")


def _answer(waiting: list[Reply], done: bool) -> None:
    for reply in waiting:
        reply.give(done)


def _of_the_disk(error: Exception) -> bool:
    """Return whether the same may be written later."""
    own = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
    return isinstance(error, MemoryError | OSError | sqlite3.DatabaseError) and not isinstance(error, own)


def _code(error: sqlite3.Error) -> int:
    """The primary code: the low byte of the extended one."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _why(error: Exception) -> str:
    if isinstance(error, JournalError):
        return str(error)
    if isinstance(error, sqlite3.Error):
        return _REASONS.get(_code(error), str(error))
    if isinstance(error, OSError):
        known = {errno.ENOSPC: "the disk is full", errno.EROFS: "it is read-only", errno.EACCES: "permission denied"}
        return known.get(error.errno or 0, (error.strerror or str(error)).lower())
    return f"{type(error).__name__}: {error}"
