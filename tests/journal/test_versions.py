"""A journal of any version up to now opens and is continued; ``version_1.sql`` and so on, beside this file, are as they were."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from steadygrad.errors import JournalError
from steadygrad.journal import read, schema
from steadygrad.record import Sign, from_jsonable, to_jsonable
from steadygrad.record.training import Alarm
from tests.journal.runs import FINDING, SKIP, SPIKE, VANISHING, begun, whole

VERSION_1 = Path(__file__).with_name("version_1.sql")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.sgj"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1.read_text(encoding="utf-8"))
    return path


def test_a_journal_of_version_2_opens(tmp_path: Path) -> None:
    path = tmp_path / "old.sgj"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1.with_name("version_2.sql").read_text(encoding="utf-8"))
    run = read(path)
    assert run.series.norms.tolist() == [[1, 2]] * 6
    assert run.series.after_high[:, 0].tolist() == [root := 5**0.5, root, root / 2, root, root, root]
    assert run.alarms == (SPIKE, VANISHING)
    assert run.series.loss_high[np.isfinite(run.series.loss_high)].tolist() == [3.0, 2.0]


def test_a_journal_of_version_1_opens(old: Path) -> None:
    run = read(old)
    assert run.steps == 6
    assert run.series.norms.tolist() == [[1, 2]] * 6
    assert run.clipped_share == pytest.approx(1 / 6)
    assert np.array_equal(run.series.after_high, run.series.high * run.series.factors)
    assert (run.alarms, run.actions, run.looks[0].findings) == ((SPIKE,), (SKIP,), (FINDING,))
    assert run.weights.steps.tolist() == [4]
    assert run.extremes.highest_rank.tolist() == [3]
    assert run.notes[0].text == "reads every step"
    assert run.summary == {"steps": 6, "interval": 1}


def test_an_alarm_written_without_signs_reads(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old)) as db:
        (body,) = db.execute("SELECT body FROM alarms").fetchone()
    assert not {"advice", "first_sign", "signs", "rows"} & json.loads(body).keys()
    (alarm,) = read(old).alarms
    assert (alarm.advice, alarm.first_sign, alarm.signs, alarm.rows) == ("", "", (), ())


def test_a_sign_of_unknown_size_travels_as_json() -> None:
    alarm = dataclasses.replace(SPIKE, signs=(Sign("batch", 3),))
    text = json.dumps(to_jsonable(alarm), allow_nan=False)
    (sign,) = from_jsonable(Alarm, json.loads(text)).signs
    assert (sign.kind, sign.step, sign.where) == ("batch", 3, "")
    assert math.isnan(sign.factor)


def test_a_journal_of_version_1_is_continued(old: Path) -> None:
    begun(old).close()
    assert [read(old, session=number).steps for number in (1, 2)] == [6, 0]
    first = read(old, session=1).series
    assert np.array_equal(first.after_low, first.high * first.factors)
    with contextlib.closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def test_the_version_is_written(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(whole(tmp_path / "run.sgj"))) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION,)
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert set(range(1, schema.VERSION)) == set(schema.MIGRATIONS)


def test_an_older_version_is_brought_up_step_by_step(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "VERSION", 3)
    monkeypatch.setattr(
        schema,
        "MIGRATIONS",
        {1: "ALTER TABLE notes ADD COLUMN kind TEXT;", 2: "UPDATE notes SET kind = 'note'; CREATE TABLE more (x);"},
    )
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as db:
        schema.bring_up(db, old)
        assert db.execute("SELECT kind FROM notes").fetchall() == [("note",)]
        assert db.execute("PRAGMA user_version").fetchone() == (3,)


def test_a_migration_that_fails_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", {1: "CREATE TABLE more (x); SELECT no_such_column FROM notes;"})
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError):
            schema.bring_up(db, old)
        db.execute("ROLLBACK")
    monkeypatch.undo()
    assert read(old).steps == 6


@pytest.mark.parametrize("version", [schema.VERSION + 1, 2**31 - 1])
def test_a_newer_version_is_refused(old: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    for use in (read, begun):
        with pytest.raises(JournalError, match=f"is a journal of version {version}, .* upgrade it"):
            use(old)
