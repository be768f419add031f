"""One session of a journal file, as its writer has it: rows go in, and old ones are thinned so that the file stays small.

Each series has levels: rows come in at level 0, and when more than ``Store.capacity`` lie in a level, its oldest ones are
merged in pairs and go up one. So the last steps are there one by one, older ones ever coarser, and a run twice as long
has one level more. May rely on sqlite3, the schema and ``thin``; must not know of threads or queues.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steadygrad.errors import JournalError
from steadygrad.journal import schema
from steadygrad.journal.thin import BLOBS, SERIES, WHOLE, Columns, merge, pairs
from steadygrad.record.training import Watched

PAGE = 16384
"""Bytes of a page: several rows of a few hundred parameters fit."""

SERIES_BYTES = 48 << 20
"""The number of rows of norms that one session makes in a run of ``LEVELS`` levels."""
LEVELS = 10
"""A million steps of a model of 300 parameters."""
FEWEST, MOST = 128, 10_240
"""Bounds of the rows in a level. A run of 10,000 steps of a model of up to 48 parameters is there step by step."""

BATCH = 64
"""Rows merged at a time, at least: few, so that the writer never works long in one piece."""

WEIGHTS_KEPT = 512
"""Measurements of the weights; twice as many are halved."""

OLD_POINTS = 4096
"""Rows of norms that all earlier sessions keep together, at most; never fewer than ``FEWEST`` each."""

BUSY = 2.0
"""Seconds to wait for another process's transaction."""


class Store:
    """A connection and the session it writes. Made, used and closed in one thread."""

    def __init__(self, path: Path, about: dict[str, str | float], watched: Sequence[Watched]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            schema.refuse_others(path)
        self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, cached_statements=64)
        try:
            self._open(path, about, watched)
            found = path.stat()
            self._path, self._file, self._size = path, (found.st_dev, found.st_ino), found.st_size
        except BaseException:
            self._db.close()
            raise

    def what_happened(self) -> str:
        """Describe what another program has done to the file since it was opened: "" where it is the same and has not shrunk."""
        try:
            now = self._path.stat()
        except OSError:
            return "is gone"
        if (now.st_dev, now.st_ino) != self._file:
            return "is another file now"
        if now.st_size < self._size:
            return "was cut off"
        self._size = now.st_size
        return ""

    def _open(self, path: Path, about: dict[str, str | float], watched: Sequence[Watched]) -> None:
        db = self._db
        db.execute(f"PRAGMA page_size = {PAGE}")
        # The tables come in a transaction of the plain kind: the file has all of them or none, whenever it is killed.
        schema.bring_up(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {(4 << 20) // PAGE}")
        db.execute(f"PRAGMA journal_size_limit = {16 << 20}")
        widths = {one.optimizer: 0 for one in watched}
        for one in watched:
            widths[one.optimizer] += 1
        row_bytes = sum(8 * width + 100 for width in widths.values()) or 100
        self.capacity = min(MOST, max(FEWEST, SERIES_BYTES // LEVELS // row_bytes)) // BATCH * BATCH
        self.begin()
        (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM sessions").fetchone()
        self.session = int(number)
        now = time.time()
        db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, NULL, ?, ?, ?)",
            (self.session, now, now, socket.gethostname(), os.getpid(), json.dumps(about)),
        )
        db.executemany(
            "INSERT INTO watched VALUES (?, ?, ?, ?, ?, ?)",
            (
                (self.session, place, one.optimizer, one.name, json.dumps(list(one.shape)), one.dtype)
                for place, one in enumerate(watched)
            ),
        )
        self._levels: dict[tuple[str, int, int], list[int]] = {}
        self._places: dict[tuple[str, int], int] = {}
        self._squeeze_old()
        self.commit()

    # Transactions.

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._db.execute("UPDATE sessions SET written = ? WHERE number = ?", (time.time(), self.session))
        self._db.execute("COMMIT")

    def roll_back(self) -> None:
        """Go back to the last commit; count the levels again."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._levels.clear()
        self._places.clear()

    def finish(self) -> None:
        """Say that the session is over, and leave a plain file without its companions where nobody else has it open."""
        self._db.execute("UPDATE sessions SET finished = ? WHERE number = ?", (time.time(), self.session))
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            pass

    def close(self) -> None:
        self._db.close()

    # What is kept as it is.

    def record(self, table: str, step: int, body: str) -> None:
        """An action, a look or a note."""
        column = "text" if table == "notes" else "body"
        self._db.execute(f"INSERT INTO {table} (session, step, {column}) VALUES (?, ?, ?)", (self.session, step, body))

    def alarm(self, number: int, step: int, body: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO alarms VALUES (?, ?, ?, ?)", (self.session, number, step, body))

    def summary(self, values: dict[str, float]) -> None:
        rows = ((self.session, name, value) for name, value in values.items())
        self._db.executemany("INSERT OR REPLACE INTO summary VALUES (?, ?, ?)", rows)

    def weights(self, optimizer: int, step: int, norms: bytes, ratios: bytes) -> None:
        """Kept until there are twice ``WEIGHTS_KEPT``; then every other one goes."""
        row = (self.session, optimizer, step, norms, ratios)
        self._db.execute("INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?)", row)
        asked = "SELECT step FROM weights WHERE session = ? AND optimizer = ? ORDER BY step"
        steps = [found for (found,) in self._db.execute(asked, (self.session, optimizer))]
        if len(steps) >= 2 * WEIGHTS_KEPT:
            gone = ((self.session, optimizer, found) for found in steps[1:-1:2])
            self._db.executemany("DELETE FROM weights WHERE session = ? AND optimizer = ? AND step = ?", gone)

    # Series.

    def append(self, table: str, optimizer: int, columns: Columns) -> None:
        """Rows as they came, in their order; then whatever is over the capacity goes up."""
        rows = len(columns["first"])
        place = self._next_place(table, optimizer)
        self._places[table, optimizer] = place + rows
        self._insert(table, optimizer, 0, {**columns, "place": np.arange(place, place + rows)})
        self._thin(table, optimizer)

    def _thin(self, table: str, optimizer: int) -> None:
        levels = self._counts(table, self.session, optimizer)
        level = 0
        while level < len(levels):
            while levels[level] >= self.capacity + BATCH:
                over = min(levels[level] - self.capacity, 16 * BATCH) // BATCH * BATCH
                self._lift(table, self.session, optimizer, level, over)
            level += 1

    def _lift(self, table: str, session: int, optimizer: int, level: int, rows: int) -> None:
        """Merge the oldest ``rows`` (an even number) of a level into half as many in the next."""
        where = "session = ? AND optimizer = ? AND level = ?"
        key = (session, optimizer, level)
        names = list(SERIES[table])
        asked = f"SELECT {', '.join(names)} FROM {table} WHERE {where} ORDER BY place LIMIT ?"
        columns = as_columns(names, self._db.execute(asked, (*key, rows)).fetchall())
        self._counts(table, session, optimizer)[level] -= rows
        self._db.execute(f"DELETE FROM {table} WHERE {where} AND place <= ?", (*key, int(columns["place"][-1])))
        merged = merge(columns, pairs(rows), SERIES[table])
        self._insert(table, optimizer, level + 1, merged, session=session)

    def _insert(self, table: str, optimizer: int, level: int, columns: Columns, session: int | None = None) -> None:
        session = self.session if session is None else session
        names = list(SERIES[table])
        values = [_stored(columns[name], alike=name == "peaks" and level == 0) for name in names]
        marks = ", ".join("?" * (3 + len(names)))
        counts = self._counts(table, session, optimizer)
        self._db.executemany(
            f"INSERT INTO {table} (session, optimizer, level, {', '.join(names)}) VALUES ({marks})",
            ((session, optimizer, level, *row) for row in zip(*values, strict=True)),
        )
        counts.extend([0] * (level + 1 - len(counts)))
        counts[level] += len(columns["first"])

    def _counts(self, table: str, session: int, optimizer: int) -> list[int]:
        """Rows by level, as they are in the file."""
        key = (table, session, optimizer)
        if key not in self._levels:
            asked = f"SELECT level, count(*) FROM {table} WHERE session = ? AND optimizer = ? GROUP BY level"
            found = dict(self._db.execute(asked, (session, optimizer)).fetchall())
            self._levels[key] = [found.get(level, 0) for level in range(1 + max(found, default=0))]
        return self._levels[key]

    def _next_place(self, table: str, optimizer: int) -> int:
        if (table, optimizer) not in self._places:
            asked = f"SELECT coalesce(max(place), -1) + 1 FROM {table} WHERE session = ? AND optimizer = ?"
            (self._places[table, optimizer],) = self._db.execute(asked, (self.session, optimizer)).fetchone()
        return self._places[table, optimizer]

    def _squeeze_old(self) -> None:
        """Thin the series of earlier sessions, so that a run that is restarted every hour stays small too."""
        for table in SERIES:
            asked = f"SELECT session, optimizer, count(*) FROM {table} GROUP BY session, optimizer"
            found = {(one, part): rows for one, part, rows in self._db.execute(asked) if one != self.session}
            share = max(FEWEST, OLD_POINTS // max(1, len(found)))
            for (session, optimizer), rows in found.items():
                if rows > 2 * share:
                    self._halve_down(table, session, optimizer, share)

    def _halve_down(self, table: str, session: int, optimizer: int, share: int) -> None:
        """Lift the finest level whole, again and again, until no more than twice the share is left."""
        counts = self._counts(table, session, optimizer)
        level = 0
        while sum(counts) > 2 * share and level < 62:
            rows = counts[level] // 2 * 2
            if rows:
                self._lift(table, session, optimizer, level, rows)
            level += 1


def as_columns(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Columns:
    """Rows of the file as arrays. A missing number is NaN; missing peaks are the norms."""
    found = dict(zip(names, zip(*rows, strict=True), strict=False))
    columns: Columns = {}
    for name in names:
        values = found.get(name, ())
        if name in BLOBS:
            if name == "peaks":
                values = tuple(
                    norms if own is None else own for own, norms in zip(values, found.get("norms", ()), strict=True)
                )
            width = len(values[0]) // 4 if values else 0
            if any(len(value) != 4 * width for value in values):
                raise JournalError("the journal is damaged: rows of different width")
            columns[name] = np.frombuffer(b"".join(values), dtype="<f4").reshape(len(values), width)
        elif name in WHOLE:
            columns[name] = np.array(values, dtype=np.int64)
        else:
            columns[name] = np.array(values, dtype=np.float64)  # None becomes NaN
    return columns


def _stored(values: np.ndarray[Any, Any], *, alike: bool) -> Iterable[Any]:
    if alike:
        return [None] * len(values)
    if values.ndim == 2:
        return [row.tobytes() for row in values.astype("<f4", copy=False)]
    return values.tolist()  # type: ignore[no-any-return]
