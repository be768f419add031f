"""Opening a journal to read it, whoever writes it meanwhile and wherever it lies.

SQLite reads a journal that is being written by way of two companions of the file (-wal and -shm). Where these cannot be made
or opened (a folder that is read-only, a file brought from elsewhere), a copy is read instead. Must not know the tables.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from steadygrad.errors import JournalError
from steadygrad.journal import schema

_COMPANIONS = ("-wal", "-journal")

BUSY = 5.0
"""Seconds to wait for a writer that is just making the file."""


def check(path: Path) -> None:
    """Raise ``JournalError`` where no file can be read."""
    try:
        if path.is_dir():
            raise JournalError(f"{path} is a folder; name a journal in it")
        if not path.exists():
            raise JournalError(f"no such file: {path}")
        if not path.is_file():
            raise JournalError(f"{path} is not a file; name a journal")
        if not os.access(path, os.R_OK):
            raise JournalError(f"cannot read {path}: permission denied")
        schema.refuse_others(path)
    except (OSError, ValueError) as error:
        raise JournalError(f"cannot read {path}: {error}") from None


def refuse_unwritable(path: Path) -> None:
    """Raise ``JournalError`` where no journal can be begun or continued. The folder is made; the file is not."""
    try:
        if path.exists():
            if not path.is_file():
                raise JournalError(
                    f"the journal {path} is {'a folder' if path.is_dir() else 'not a file'}; name a file"
                )
            if not os.access(path, os.W_OK):
                raise JournalError(f"cannot write the journal {path}: permission denied; name another file")
            if path.stat().st_size:
                with opened(path):
                    pass
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        path.unlink()
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise JournalError(f"cannot write the journal {path}: {why}; name another file") from None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees one state of the journal. Raises ``JournalError``."""
    check(path)
    with contextlib.ExitStack() as stack:
        try:
            yield _snapshot(_connect(path, stack), path)
            return
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            # SQLite quotes what it could not read, and Python cannot always read the quotation.
            failed = "text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            stack.close()
        raise JournalError(f"{path} is damaged or cannot be read ({failed})")


def _connect(path: Path, stack: contextlib.ExitStack) -> sqlite3.Connection:
    """Return the file where it lies; unchanging, where it has no companion; else a copy of it."""
    wal = path.with_name(path.name + "-wal")
    with contextlib.suppress(sqlite3.OperationalError):
        # With no log beside it, the file is whole, and to open it in the plain way would leave companions behind.
        alone = not wal.exists() and not path.with_name(path.name + "-journal").exists()
        return stack.enter_context(contextlib.closing(_tried(path, "immutable=1" if alone else "mode=ro")))
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="steadygrad-"))
    copy = Path(folder) / "journal"
    shutil.copyfile(path, copy)
    for end in _COMPANIONS:
        with contextlib.suppress(OSError):
            shutil.copyfile(path.with_name(path.name + end), copy.with_name(copy.name + end))
    return stack.enter_context(contextlib.closing(_tried(copy, "mode=rw")))


def _tried(path: Path, how: str) -> sqlite3.Connection:
    """A connection that has read something: SQLite opens a file only then."""
    connection = sqlite3.connect(
        f"file:{quote(os.fspath(path.resolve()))}?{how}", uri=True, timeout=BUSY, isolation_level=None
    )
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        # Not a database: the check of its marks reports that.
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            connection.close()
            raise
    return connection


def _snapshot(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    connection.execute("BEGIN")
    if schema.identify(connection, path) == 0:
        raise JournalError(f"{path} is empty: nothing has been written to it yet")
    return connection
