"""A test that a journal's contents can be what its writer wrote: kinds and ranges, checked once, on reading.

SQLite keeps in any column whatever it is given, and a disk gives back what it likes. Must not know what a number means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from steadygrad.errors import CorruptReportError
from steadygrad.record.run import Note, Session
from steadygrad.record.training import Watched

LATEST = 2.0**36
"""Seconds since the epoch: the year 4147. Beyond some 10^11 no calendar of C's has a date."""
STEPS = 2**53
"""Steps: what a float counts one by one."""


def session(row: Sequence[Any]) -> Session:
    """One session's row."""
    number, started, written, finished, host, process = row
    times = [_time("a session's time", one) for one in (started, written)]
    ended = None if finished is None else _time("a session's end", finished)
    return Session(
        _whole("a session's number", number), times[0], times[1], ended, _text("host", host), _whole("process", process)
    )


def about(found: Any) -> dict[str, Any]:
    """Check a session's own description: names, and texts or numbers."""
    if not isinstance(found, dict) or not all(isinstance(one, (str, int, float)) for one in found.values()):
        raise CorruptReportError("what a session says of itself is no table of texts and numbers")
    return found


def watched(name: Any, shape: Any, dtype: Any, optimizer: Any) -> Watched:
    """One parameter's row, its shape no longer JSON."""
    if not isinstance(shape, list):
        raise CorruptReportError("the shape of a parameter is no list")
    sizes = tuple(_whole("a size", one) for one in shape)
    return Watched(_text("a parameter's name", name), sizes, _text("dtype", dtype), _whole("optimizer", optimizer))


def optimizers(parameters: Sequence[Watched]) -> int:
    """Count the parameters: each has a name."""
    numbers = {one.optimizer for one in parameters}
    if numbers != set(range(len(numbers))):
        raise CorruptReportError("its optimizers are not numbered one by one")
    return max(1, len(numbers))


def summary(rows: Iterable[tuple[Any, Any]]) -> dict[str, float]:
    """Check the numbers at the end of a session, by name."""
    return {_text("name", name): math.nan if value is None else _number(str(name), value) for name, value in rows}


def note(row: Sequence[Any]) -> Note:
    """One note's row."""
    step, text = row
    return Note(step_of(step), _text("a note", text))


def step_of(value: Any) -> int:
    """Check a step's number."""
    step = _whole("a step", value)
    if not -STEPS <= step <= STEPS:
        raise CorruptReportError(f"a step is {step}")
    return step


def columns(found: Mapping[str, Any]) -> None:
    """Check the series of one table: steps in order and countable, counts of what was read."""
    for name in ("first", "last"):
        values = found[name]
        if len(values) and not (int(values.min()) >= -STEPS and int(values.max()) <= STEPS):
            raise CorruptReportError("its steps are beyond counting")
    if (
        "count" in found
        and len(found["count"])
        and not (int(found["count"].min()) >= 0 and int(found["count"].max()) <= STEPS)
    ):
        raise CorruptReportError("its counts are beyond counting")


def _whole(what: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise CorruptReportError(f"{what} is {value!r:.40}, expected a whole number")
    return value


def _number(what: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= STEPS:
        raise CorruptReportError(f"{what} is {value!r:.40}, expected a number")
    return float(value)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise CorruptReportError(f"{what} is {value!r:.40}, expected text")
    return value


def _time(what: str, value: Any) -> float:
    seconds = _number(what, value)
    if not 0 <= seconds <= LATEST:
        raise CorruptReportError(f"{what} is {seconds}, which is no time")
    return seconds
