"""What is given to a journal is what is read from it."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from steadygrad.errors import JournalError
from steadygrad.journal import Journal, read
from steadygrad.journal.mailbox import Job, Pile
from steadygrad.journal.store import FEWEST, OLD_POINTS, WEIGHTS_KEPT
from steadygrad.record.training import Watched
from tests.journal.runs import NAMES, SKIP, SPIKE, VANISHING, WHEN, begun, give_rows, watched, whole


def test_everything_comes_back(tmp_path: Path) -> None:
    run = read(whole(tmp_path / "run.sgj"))
    assert run.steps == 300
    assert run.about == {"optimizers": "AdamW", "clip": "norm ≤ 1", "script": "train.py"}
    assert run.watched == tuple(watched())
    assert run.alarms == (SPIKE, VANISHING)
    assert run.actions == (SKIP,)
    assert [look.verdict for look in run.looks] == ["healthy", "at risk", "at risk"]
    assert run.notes[0].text == "reads every step: 0.6 % of a step"
    assert run.clipped_share == pytest.approx(0.1)
    assert run.interval == 1
    assert run.finished
    assert run.series.steps.tolist() == list(range(1, 301))
    assert run.series.times[0] == WHEN + 0.25
    assert run.series.norms.shape == (300, len(NAMES))
    assert run.series.losses[0] == 3.0
    assert np.isnan(run.series.losses[1])
    assert run.weights.ratios[1, 0] == pytest.approx(1e-6)
    assert run.extremes.highest_rank.tolist() == [3, 3]
    assert os.listdir(tmp_path) == ["run.sgj"]


def test_norms_come_back_bit_for_bit_while_the_run_is_short(tmp_path: Path) -> None:
    norms = np.random.default_rng(0).lognormal(size=(20, 3)).astype(np.float32)
    norms[3, 1], norms[4, 2], norms[5, 0] = np.nan, np.inf, 0
    with begun(tmp_path / "run.sgj", ("a", "b", "c")) as journal:
        journal.rows(0, range(1, 21), np.arange(20.0), norms, np.ones(20), np.ones(20), np.ones(20))
    series = read(tmp_path / "run.sgj").series
    assert series.norms.tobytes() == norms.tobytes()
    assert series.peaks.tobytes() == norms.tobytes()


def test_the_callers_arrays_may_change_afterwards(tmp_path: Path) -> None:
    norms, totals = np.ones((1, 1), dtype=np.float32), np.ones(1)
    with begun(tmp_path / "run.sgj", ("a",)) as journal:
        journal.rows(0, [1], [1.0], norms, totals, [1], [1])
        norms[:], totals[:] = 7, 7
    series = read(tmp_path / "run.sgj").series
    assert (series.norms[0, 0], series.high[0, 0]) == (1, 1)


def test_a_total_that_is_not_a_number_reads_as_infinite(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj", ("a",)) as journal:
        journal.rows(0, [1, 2], [1.0, 2.0], [[1], [1]], [math.nan, 1], [1, 1], [math.nan, 1])
    series = read(tmp_path / "run.sgj").series
    assert series.high[:, 0].tolist() == [math.inf, 1]
    assert np.isnan(series.rates[0, 0])


def test_several_optimizers_share_the_points(tmp_path: Path) -> None:
    names = [Watched("a", (1,), "float32", 0), Watched("b", (1,), "float32", 1), Watched("c", (1,), "float32", 0)]
    with Journal(tmp_path / "run.sgj", about={}, watched=names, complain=print) as journal:
        journal.rows(0, [1, 2, 3, 4], np.arange(4.0), [[1, 3]] * 4, [4] * 4, [1] * 4, [0.1] * 4)
        journal.rows(1, [2, 4], [1.0, 3.0], [[2]] * 2, [2] * 2, [0.5] * 2, [0.2] * 2)
    run = read(tmp_path / "run.sgj")
    assert run.optimizers == 2
    assert run.series.steps.tolist() == [1, 2, 3, 4]
    assert run.series.norms[1].tolist() == [1, 2, 3]
    assert np.isnan(run.series.norms[0]).tolist() == [False, True, False]
    assert run.series.counts.tolist() == [[1, 0], [1, 1], [1, 0], [1, 1]]
    assert run.clipped_share == pytest.approx(2 / 6)
    few = read(tmp_path / "run.sgj", most=2).series
    assert few.counts.tolist() == [[2, 1], [2, 1]]
    assert few.norms[0].tolist() == [1, 2, 3]


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    seen, stop, failed = [], threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            try:
                seen.append(int(read(tmp_path / "run.sgj", most=50).series.counts.sum()))
            except Exception as error:
                failed.append(error)
            time.sleep(0.01)

    with begun(tmp_path / "run.sgj") as journal:
        reader = threading.Thread(target=look)
        reader.start()
        for first in range(1, 6001, 100):
            give_rows(journal, first, first + 99)
            journal.flush()
            # Now and then a read comes between, however seldom this machine lets the other thread run.
            looks = len(seen)
            while first % 1000 == 1 and len(seen) == looks and not failed:
                time.sleep(0.001)
        stop.set()
        reader.join()
    assert not failed
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert read(tmp_path / "run.sgj").series.counts.sum() == 6000


def test_what_was_given_is_there_within_a_second(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj") as journal:
        give_rows(journal, 1, 5)
        time.sleep(1.0)
        assert read(tmp_path / "run.sgj").steps == 5
        give_rows(journal, 6, 9)
        assert journal.flush()
        assert read(tmp_path / "run.sgj").steps == 9
        assert not read(tmp_path / "run.sgj").finished


def test_an_alarm_is_replaced_by_its_number(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj") as journal:
        journal.alarm(VANISHING)
        journal.alarm(SPIKE)
        journal.alarm(VANISHING)
    assert read(tmp_path / "run.sgj").alarms == (SPIKE, VANISHING)


def test_a_journal_is_continued_in_a_new_session(tmp_path: Path) -> None:
    path = whole(tmp_path / "run.sgj")
    with begun(path, ("other",)) as journal:
        journal.rows(0, [301], [1.0], [[1]], [1], [1], [1])
    newest, first = read(path), read(path, session=1)
    assert (newest.session, len(newest.sessions), newest.steps, newest.alarms) == (2, 2, 301, ())
    assert (first.session, first.steps, len(first.alarms)) == (1, 300, 2)


@pytest.mark.long
def test_many_sessions_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "run.sgj"
    for number in range(8):
        with begun(path) as journal:
            give_rows(journal, 1, 3000, seed=number)
    db = sqlite3.connect(path)
    (old,) = db.execute("SELECT count(*) FROM points WHERE session < 8").fetchone()
    assert old <= max(2 * OLD_POINTS, 8 * 2 * FEWEST)
    assert all(read(path, session=one).series.counts.sum() == 3000 for one in range(1, 9))


def test_weights_are_halved_when_there_are_many(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj", ("a",)) as journal:
        for step in range(3 * WEIGHTS_KEPT):
            journal.weights(0, step, [1.0], [step])
    steps = read(tmp_path / "run.sgj").weights.steps
    assert len(steps) < 2 * WEIGHTS_KEPT
    assert (steps[0], steps[-1]) == (0, 3 * WEIGHTS_KEPT - 1)


def test_what_cannot_be_kept_is_told_once_and_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    with Journal(tmp_path / "run.sgj", about={}, watched=watched(("a", "b")), complain=told.append) as journal:
        journal.rows(0, [1], [1.0], [[1, 2, 3]], [1], [1], [1])
        journal.rows(7, [1], [1.0], [[1]], [1], [1], [1])
        journal.losses([1, 2], [1.0])
        journal.losses(["soon"], [1.0])
        journal.rows(0, [1], [1.0], [[1, 2]], [1], [1], [1])
    assert len(told) == 1
    assert "left it out" in told[0]
    assert read(tmp_path / "run.sgj").steps == 1


def test_a_complaint_that_raises_stops_nothing(tmp_path: Path) -> None:
    def raising(_: str) -> None:
        raise RuntimeError

    with Journal(tmp_path / "run.sgj", about={}, watched=watched(("a",)), complain=raising) as journal:
        journal.losses([1, 2], [1.0])
        assert journal.flush()


def test_a_closed_journal_does_nothing(tmp_path: Path) -> None:
    journal = begun(tmp_path / "run.sgj")
    journal.close()
    journal.close()
    give_rows(journal, 1, 10)
    assert not journal.flush(0.1)
    assert read(tmp_path / "run.sgj").steps == 0


def test_a_forgotten_journal_is_closed(tmp_path: Path) -> None:
    journal = begun(tmp_path / "run.sgj")
    give_rows(journal, 1, 10)
    del journal
    run = read(tmp_path / "run.sgj")
    assert (run.steps, run.finished) == (10, True)


def test_oldest_rows_go_first_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steadygrad.journal.mailbox.ROOM", 1000)
    pile: Pile[None] = Pile()
    for number in range(30):
        pile.add([Job(lambda _: None, rows=0 if number == 3 else 1, size=0 if number == 3 else 100)])
    assert pile.size <= 1000
    assert sum(job.rows == 0 for job in pile.jobs) == 1
    assert pile.dropped + len(pile.jobs) == 30
    assert pile.jobs[0].rows == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database, and long enough to be told from an empty one" * 20, "is no journal of steadygrad"),
        (b"x", "is no journal of steadygrad"),
        ("folder", "is a folder; name a file"),
        ("other", "is an SQLite database, but no journal"),
        ("newer", "is a journal of version 99, and this steadygrad knows versions up to"),
    ],
)
def test_a_file_that_cannot_be_continued_is_refused_at_the_start(
    tmp_path: Path, content: bytes | str, why: str
) -> None:
    path = tmp_path / "run.sgj"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    else:
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE t (x)")
        if content == "newer":
            db.execute(f"PRAGMA application_id = {0x53674A6C}")
            db.execute("PRAGMA user_version = 99")
        db.commit()
        db.close()
    with pytest.raises(JournalError, match=why):
        begun(path)
    if isinstance(content, bytes):
        assert path.read_bytes() == content


def test_an_empty_file_is_begun(tmp_path: Path) -> None:
    (tmp_path / "run.sgj").touch()
    begun(tmp_path / "run.sgj").close()
    assert read(tmp_path / "run.sgj").steps == 0


def test_a_folder_is_made(tmp_path: Path) -> None:
    begun(tmp_path / "runs" / "today" / "run.sgj").close()
    assert read(tmp_path / "runs" / "today" / "run.sgj").finished


def test_norms_after_the_clip_are_kept_as_a_range(tmp_path: Path) -> None:
    """A point of several steps: its greatest norm after the clip is not that of the step with the greatest norm before it."""
    with begun(tmp_path / "run.sgj", ("a",)) as journal:
        totals, factors = np.array([10.0, 5.0, np.nan, 2.0]), np.array([0.1, 1.0, np.nan, 0.25])
        journal.rows(0, [1, 2, 3, 4], np.arange(4), np.ones((4, 1)), totals, factors, np.ones(4))
    series = read(tmp_path / "run.sgj", most=2).series
    assert series.high[:, 0].tolist() == [10.0, np.inf]
    assert series.after_high[:, 0].tolist() == [5.0, np.inf]
    assert series.after_low[:, 0].tolist() == [1.0, 0.5]


def test_each_optimizer_may_have_its_own_loss(tmp_path: Path) -> None:
    both = [*watched(("g",)), *watched(("d",), 1)]
    with Journal(tmp_path / "run.sgj", about={}, watched=both, complain=print) as journal:
        for number in (0, 1):
            journal.rows(number, [1, 2], [0, 1], np.ones((2, 1)), [1, 1], [1, 1], [1, 1])
        journal.losses([1, 2], [3.0, 4.0])
        journal.losses([2], [7.0], optimizer=1)
    series = read(tmp_path / "run.sgj").series
    assert series.losses.tolist() == [3.0, 4.0]
    (other,) = series.other_losses
    assert other.optimizer == 1
    assert np.array_equal(other.mean, [np.nan, 7.0], equal_nan=True)


def test_ten_thousand_steps_are_there_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "run.sgj"
    with begun(path) as journal:
        give_rows(journal, 1, 10_000, seed=0)
    assert read(path).series.counts.sum() == 10_000
    alone = sqlite3.connect(path).execute("SELECT first FROM points WHERE count = 1 AND first = last ORDER BY first")
    assert [step for (step,) in alone] == list(range(1, 10_001))
