"""The tables of a journal, their version, and how a file is known to be one.

A file carries ``APPLICATION`` in SQLite's application_id and its version in user_version. A newer steadygrad opens every
older file: ``MIGRATIONS[n]`` turns version n into n + 1. May rely on sqlite3; must not know who writes or reads.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from steadygrad.errors import JournalError

APPLICATION = 0x53674A6C
"""'SgJl'."""
VERSION = 2

# Blobs are little-endian float32, one number a parameter of the optimizer, in the order of the table `watched`.
# Records (alarms, actions, looks) are JSON as the dataclasses of record/training.py write it.
TABLES = """
CREATE TABLE sessions (
  number INTEGER PRIMARY KEY,
  started REAL NOT NULL,    -- seconds since the epoch
  written REAL NOT NULL,    -- the last commit
  finished REAL,            -- NULL until it is closed
  host TEXT NOT NULL,
  process INTEGER NOT NULL,
  about TEXT NOT NULL       -- JSON
);
CREATE TABLE watched (
  session INTEGER NOT NULL,
  place INTEGER NOT NULL,   -- depth order
  optimizer INTEGER NOT NULL,
  name TEXT NOT NULL,
  shape TEXT NOT NULL,      -- JSON
  dtype TEXT NOT NULL,
  PRIMARY KEY (session, place)
);
-- Series. A row of level n stands for up to 2^n neighbouring rows as they came; `place` is where the first of them came.
CREATE TABLE points (
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, level INTEGER NOT NULL, place INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,  -- steps
  count INTEGER NOT NULL,   -- rows that were read
  time REAL,                -- of the first step
  high REAL, low REAL,      -- norm of the whole gradient before any clip
  after_high REAL, after_low REAL,  -- and after it
  factor REAL,              -- least factor of the clip
  clipped INTEGER NOT NULL, -- rows with a factor below 1
  rate REAL,
  norms BLOB NOT NULL,      -- geometric mean; NaN = no gradient
  peaks BLOB,               -- maximum; NULL = the same as norms
  PRIMARY KEY (session, optimizer, level, place)
);
CREATE TABLE losses (
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, level INTEGER NOT NULL, place INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
  mean REAL, low REAL, high REAL,
  PRIMARY KEY (session, optimizer, level, place)
);
CREATE TABLE extremes (     -- of the total norm, among processes
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, level INTEGER NOT NULL, place INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,
  lowest REAL, highest REAL, lowest_rank INTEGER NOT NULL, highest_rank INTEGER NOT NULL,
  PRIMARY KEY (session, optimizer, level, place)
);
CREATE TABLE weights (
  session INTEGER NOT NULL, optimizer INTEGER NOT NULL, step INTEGER NOT NULL,
  norms BLOB NOT NULL, ratios BLOB NOT NULL,
  PRIMARY KEY (session, optimizer, step)
);
CREATE TABLE alarms (
  session INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (session, number)
);
CREATE TABLE actions (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE looks (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE notes (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE summary (
  session INTEGER NOT NULL, name TEXT NOT NULL, value REAL,
  PRIMARY KEY (session, name)
);
"""

LACKED: dict[int, dict[str, str]] = {1: {"after_high": "high * factor", "after_low": "min(low, high * factor)"}}
"""By version: columns that it has not yet, and the expression that comes nearest to each."""

MIGRATIONS: dict[int, str] = {
    1: f"""
ALTER TABLE points ADD COLUMN after_high REAL;
ALTER TABLE points ADD COLUMN after_low REAL;
UPDATE points SET {", ".join(f"{name} = {sql}" for name, sql in LACKED[1].items())};
"""
}
"""SQL by the version that it leaves behind."""


_MAGIC = b"SQLite format 3\0"


def refuse_others(path: Path) -> None:
    """Raise ``JournalError`` where a file is there that is no database: SQLite would take a very short one for empty."""
    with path.open("rb") as file:
        begin = file.read(len(_MAGIC))
    if begin not in (b"", _MAGIC):
        raise JournalError(f"{path} is no journal of steadygrad; name another file")


def identify(connection: sqlite3.Connection, path: str | Path) -> int:
    """The version of the journal, or 0 for a database in which there is nothing yet. Raises ``JournalError``."""
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        raise JournalError(f"{path} is no journal of steadygrad; name another file") from None
    version = version_of(connection)
    if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return 0
    if application != APPLICATION:
        raise JournalError(f"{path} is an SQLite database, but no journal of steadygrad; name another file")
    if version > VERSION:
        raise JournalError(
            f"{path} is a journal of version {version}, and this steadygrad knows versions up to {VERSION}; upgrade it"
        )
    if version < 1:
        raise JournalError(f"{path} says that it is a journal of version {version}, and there is none such")
    return version


def version_of(connection: sqlite3.Connection) -> int:
    """The number that the file carries."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def bring_up(connection: sqlite3.Connection, path: str | Path) -> None:
    """Make the tables, or bring those of an older version up to this one, in one transaction."""
    identify(connection, path)
    connection.execute("BEGIN IMMEDIATE")
    version = identify(connection, path)
    todo = [TABLES] if version == 0 else [MIGRATIONS[number] for number in range(version, VERSION)]
    for script in todo:
        for statement in _statements(script):
            connection.execute(statement)
    if todo:
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """The statements one by one: ``executescript`` would commit before the first."""
    found, statement = [], ""
    for part in script.split(";")[:-1]:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
