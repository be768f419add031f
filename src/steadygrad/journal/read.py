"""``read``: a session of a journal as a ``Run``, on as many points as a reader wants.

May rely on the schema, ``series`` and the records; must not know who writes the file, nor what a number means.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadygrad.errors import CorruptReportError, JournalError
from steadygrad.journal import schema, sound
from steadygrad.journal.opening import opened
from steadygrad.journal.series import series_of
from steadygrad.journal.store import as_columns
from steadygrad.journal.thin import SERIES, Columns
from steadygrad.record import from_jsonable
from steadygrad.record.run import Extremes, Run, Weights
from steadygrad.record.training import Action, Alarm, Look

Counts = NDArray[np.int64]


def read(path: str | os.PathLike[str], *, session: int | None = None, most: int = 2000) -> Run:
    """The newest session, or the one of that number, with at most ``most`` points in its series.

    The journal may be written meanwhile: what was committed is read. Raises ``JournalError``.
    """
    path = Path(path)
    with opened(path) as db:
        try:
            return _run(db, path, session, max(1, most))
        except (CorruptReportError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            why = str(error).removeprefix("cannot read the report: ")
            raise JournalError(f"{path} is damaged ({why})") from None


def _run(db: sqlite3.Connection, path: Path, session: int | None, most: int) -> Run:
    kept = db.execute(
        "SELECT number, started, written, finished, host, process FROM sessions ORDER BY number"
    ).fetchall()
    sessions = tuple(map(sound.session, kept))
    if not sessions:
        raise JournalError(f"{path} is empty: nothing has been written to it yet")
    number = sessions[-1].number if session is None else session
    if number not in {one.number for one in sessions}:
        has = f"sessions {sessions[0].number} to {sessions[-1].number}" if len(sessions) > 1 else "session 1 alone"
        raise JournalError(f"{path} has no session {number}; it has {has}")
    (about,) = db.execute("SELECT about FROM sessions WHERE number = ?", (number,)).fetchone()
    asked = "SELECT name, shape, dtype, optimizer FROM watched WHERE session = ? ORDER BY place"
    watched = tuple(
        sound.watched(name, json.loads(shape), dtype, optimizer)
        for name, shape, dtype, optimizer in db.execute(asked, (number,))
    )
    optimizers = sound.optimizers(watched)
    owned = [np.flatnonzero([one.optimizer == part for one in watched]) for part in range(optimizers)]
    parts = [_rows(db, "points", number, part) for part in range(optimizers)]
    summary = sound.summary(db.execute("SELECT name, value FROM summary WHERE session = ?", (number,)).fetchall())
    rows = sum(int(part["count"].sum()) for part in parts)
    extremes = _rows(db, "extremes", number, 0)
    return Run(
        path=str(path),
        session=number,
        sessions=sessions,
        about=sound.about(json.loads(about)),
        watched=watched,
        steps=max(int(summary.get("steps", 0)), *(int(part["last"].max(initial=0)) for part in parts)),
        interval=summary.get("interval", _interval(parts)),
        clipped_share=sum(int(part["clipped"].sum()) for part in parts) / rows if rows else 0.0,
        series=series_of(parts, owned, [_rows(db, "losses", number, part) for part in range(optimizers)], most),
        weights=_weights(db, number, owned),
        extremes=Extremes(
            extremes["first"],
            extremes["lowest"],
            extremes["highest"],
            extremes["lowest_rank"],
            extremes["highest_rank"],
        ),
        alarms=_records(db, Alarm, "alarms", "number", number),
        actions=_records(db, Action, "actions", "id", number),
        looks=_records(db, Look, "looks", "id", number),
        notes=tuple(
            sound.note(row)
            for row in db.execute("SELECT step, text FROM notes WHERE session = ? ORDER BY id", (number,))
        ),
        summary=summary,
    )


def _rows(db: sqlite3.Connection, table: str, session: int, optimizer: int) -> Columns:
    names = list(SERIES[table])
    lacked = schema.LACKED.get(schema.version_of(db), {})
    wanted = ", ".join(lacked.get(name, name) for name in names)
    asked = f"SELECT {wanted} FROM {table} WHERE session = ? AND optimizer = ? ORDER BY place"
    columns = as_columns(names, db.execute(asked, (session, optimizer)).fetchall())
    sound.columns(columns)
    # A step number that was set back (a checkpoint loaded into a running guard) must not make points overlap.
    order = np.argsort(columns["first"], kind="stable")
    return columns if (np.diff(order) == 1).all() else {name: values[order] for name, values in columns.items()}


def _interval(parts: Sequence[Columns]) -> float:
    """Count the steps between the last rows that stand for one step each."""
    for part in parts:
        single = part["first"][part["count"] == 1][-32:]
        if len(single) > 1:
            return float(np.median(np.diff(single)))
    return float("nan")


def _weights(db: sqlite3.Connection, session: int, owned: Sequence[Counts]) -> Weights:
    asked = "SELECT optimizer, step, norms, ratios FROM weights WHERE session = ? ORDER BY step, optimizer"
    rows = db.execute(asked, (session,)).fetchall()
    steps = sorted({sound.step_of(step) for _, step, _, _ in rows})
    place = {step: index for index, step in enumerate(steps)}
    both = [np.full((len(steps), sum(map(len, owned))), np.nan, dtype=np.float32) for _ in range(2)]
    for optimizer, step, *blobs in rows:
        for array, blob in zip(both, blobs, strict=True):
            array[place[step], owned[optimizer]] = np.frombuffer(blob, dtype="<f4")
    return Weights(np.array(steps, dtype=np.int64), *both)


def _records(db: sqlite3.Connection, kind: Any, table: str, order: str, session: int) -> tuple[Any, ...]:
    asked = f"SELECT body FROM {table} WHERE session = ? ORDER BY {order}"
    return tuple(from_jsonable(kind, json.loads(body), table) for (body,) in db.execute(asked, (session,)))
