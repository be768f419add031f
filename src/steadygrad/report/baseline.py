"""A baseline: the findings that are known already, so that only new ones are printed and fail.

A sorted JSON file that holds no line numbers, made to be committed and read in a diff; several targets share it.
May rely on fingerprints and the record; prints nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from steadygrad import rules
from steadygrad.errors import SettingsError
from steadygrad.numerals import count
from steadygrad.record import CheckRecord, json_text
from steadygrad.report import words
from steadygrad.report.fingerprints import fingerprints, identity, repository
from steadygrad.report.write import write_atomically

VERSION = 1


@dataclass(frozen=True, order=True, slots=True)
class Known:
    """One finding of a baseline; path and text are there for its readers."""

    target: str
    code: str
    path: str
    text: str
    fingerprint: str


def read_baseline(path: Path) -> tuple[Known, ...]:
    """What the file holds. Raises ``SettingsError`` for a file that is missing or is no baseline."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no baseline {path}; --update-baseline makes it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"cannot read the baseline {path}: {error}") from None
    if not isinstance(body, dict) or body.get("version") != VERSION or not isinstance(body.get("findings"), list):
        raise SettingsError(f'cannot read the baseline {path}: expected {{"version": {VERSION}, "findings": […]}}')
    return tuple(_known(one, path) for one in body["findings"])


def _known(row: Any, path: Path) -> Known:
    names = [field.name for field in fields(Known)]
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in names):
        raise SettingsError(f"cannot read the baseline {path}: a finding lacks one of {', '.join(names)}")
    return Known(**{name: row[name] for name in names})


def update_baseline(path: Path, record: CheckRecord) -> tuple[tuple[Known, ...], str]:
    """Write the record's findings in place of those of its target; what the file holds then, and what changed, in words."""
    before = read_baseline(path) if path.exists() else ()
    root, target = repository(), record.setup.target
    marks = fingerprints(record.findings, root)
    now = [Known(target, *identity(one, root), mark) for one, mark in zip(record.findings, marks, strict=True)]
    own = {one for one in before if one.target == target}
    after = tuple(sorted({*now, *(one for one in before if one.target != target)}))
    write_atomically(path, json_text({"version": VERSION, "findings": [asdict(one) for one in after]}))
    added, gone = len(set(now) - own), len(own - set(now))
    return after, f"baseline {path}: {count(len(after), 'finding')}, {added} added, {gone} taken out"


def without_known(record: CheckRecord, known: tuple[Known, ...], path: Path) -> CheckRecord:
    """The record with new findings only, judged by them; the known ones stand among what is ignored."""
    marks = fingerprints(record.findings, repository())
    listed = {one.fingerprint for one in known}
    old = [one for one, mark in zip(record.findings, marks, strict=True) if mark in listed]
    new = tuple(one for one, mark in zip(record.findings, marks, strict=True) if mark not in listed)
    gone = {one.fingerprint for one in known if one.target == record.setup.target} - set(marks)
    notes = record.notes
    if gone:
        notes += (f"{count(len(gone), 'finding')} of {path} not found any more; --update-baseline takes it out",)
    lines = tuple(f"{one.code} at {words.place(one)}, by the baseline {path}" for one in old)
    verdict = rules.verdict(new) if old else record.verdict
    return replace(record, findings=new, verdict=verdict, notes=notes, ignored=(*record.ignored, *lines))
