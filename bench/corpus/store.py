"""Results as JSON lines, one a row: appended as they come, so that an interrupted run loses at most the row in work.

A line is written with one call to a file opened for appending; what stands before it is never touched.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class CorruptTableError(Exception):
    """A line that is no row; the message says which, and what to do."""


class BusyTableError(Exception):
    """Somebody else is adding to the table; the message says what to do."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep others from building the same table, which would train every row twice. Raises ``BusyTableError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyTableError(f"{path} is being built; wait until it is done, or give another --output") from None
        yield


def read(path: Path) -> list[dict[str, Any]]:
    """All rows in order. Raises ``CorruptTableError`` for the first line that is none."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else (), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("key"), str):
            raise CorruptTableError(
                f"{path}, line {number}: not a row of the table ({line[:40]!r}); delete the line, and the next run makes it anew"
            )
        rows.append(row)
    return rows


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def keep_the_last(path: Path) -> None:
    """Take out lines whose key a later line has again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    last = {json.loads(line)["key"]: line for line in lines}
    if len(last) < len(lines):
        beside = path.with_suffix(".tmp")
        beside.write_text("".join(last.values()), encoding="utf-8")
        beside.replace(path)


def _plain(value: Any) -> Any:
    """Infinite numbers as text: JSON has none."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
