"""Nothing is lost, and training never notices: kill -9, a full disk, a closed folder, clocks that jump, forks.

STEADYGRAD_KILLS says how often a writer is killed (10); 50 take a minute.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steadygrad.errors import JournalError
from steadygrad.journal import Journal, read
from steadygrad.record.run import Run
from tests.journal.runs import SPIKE, WHEN, begun, give_rows, watched

KILLS = int(os.environ.get("STEADYGRAD_KILLS", "10"))

WRITER = """
import sys, time
from pathlib import Path
from tests.journal.runs import begun, give_rows
journal = begun(Path(sys.argv[1]))
print("ready", flush=True)
for first in range(1, 10**9, 20):
    give_rows(journal, first, first + 19)
    print(first + 19, time.monotonic(), flush=True)
    time.sleep(0.002)
"""


def integrity(path: Path) -> str:
    """What SQLite says of a copy of the file: the check itself must not mend anything."""
    copy = path.parent / "copy"
    copy.mkdir(exist_ok=True)
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, copy / file.name)
    with contextlib.closing(sqlite3.connect(copy / path.name)) as db:
        (found,) = db.execute("PRAGMA integrity_check").fetchone()
    shutil.rmtree(copy)
    return str(found)


def read_if_begun(path: Path) -> Run | None:
    """None where the writer was killed before it had made the tables."""
    try:
        return read(path)
    except JournalError as error:
        if "nothing has been written to it yet" in str(error):
            return None
        raise


@pytest.mark.long
def test_kill_9_at_any_moment_loses_at_most_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "run.sgj"
    chance = random.Random()
    sessions, losses = 0, []
    for number in range(KILLS):
        # Most are killed while they write, some while they start and make or mend the file.
        early = number % 5 == 0
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        if not early:
            assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.6) if early else chance.uniform(0.05, 1.6))
        writer.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        lines = writer.communicate()[0].splitlines()
        given = [(int(words[0]), float(words[1])) for line in lines if len(words := line.split()) == 2]
        if not path.exists() or path.stat().st_size == 0:
            continue
        assert integrity(path) == "ok"
        run = read_if_begun(path)
        if run is None:
            continue
        if not given or len(run.sessions) == sessions:
            continue
        sessions = len(run.sessions)
        assert not run.finished
        assert run.series.counts.sum() == run.steps
        due = max((step for step, when in given if when <= killed - 1.0), default=0)
        assert run.steps >= due
        committed = max((when for step, when in given if step <= run.steps), default=given[0][1])
        losses.append(killed - committed)
    assert losses
    lost = f"at most {max(losses):.2f} s lost, {np.median(losses):.2f} s at the median"
    sys.stdout.write(f"{KILLS} kills, {len(losses)} of them with rows: {lost}\n")


FULL = """
import resource, sys
from pathlib import Path
from steadygrad.journal import Journal, read
from steadygrad.record.run import Run
from tests.journal.runs import SPIKE, give_rows, watched
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
told = []
journal = Journal(Path(sys.argv[1]), about={}, watched=watched(), complain=told.append)
for first in range(1, 20001, 500):
    give_rows(journal, first, first + 499)
    journal.flush()
    if first == 10001:
        journal.alarm(SPIKE)
assert journal.lost, "the disk was not full"
assert not journal.flush(), "written on a full disk"
before = read(sys.argv[1])
assert before.steps < 20000 and not before.alarms
assert len(told) == 1 and "the run goes on" in told[0], told
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert journal.flush(), journal.lost
assert not journal.lost and len(told) == 1
journal.close()
after = read(sys.argv[1])
assert after.steps == 20000 and len(after.alarms) == 1 and after.finished
print(told[0])
"""


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="the limit of a file's size is POSIX'")
def test_a_file_that_may_not_grow_is_told_once_and_gone_on_with_when_it_may(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "run.sgj")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert integrity(tmp_path / "run.sgj") == "ok"


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_once_and_gone_on_with_when_there_is_room(tmp_path: Path) -> None:
    told: list[str] = []
    with small_disk(tmp_path / "disk", "24m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 24_000_000)
        journal = Journal(disk / "run.sgj", about={}, watched=watched(), complain=told.append)
        for first in range(1, 20001, 500):
            give_rows(journal, first, first + 499)
            journal.flush()
        journal.alarm(SPIKE)
        assert not journal.flush()
        assert "the disk is full" in journal.lost
        assert read(disk / "run.sgj").steps > 0
        ballast.unlink()
        assert journal.flush()
        assert journal.lost == ""
        run = read(disk / "run.sgj")
        assert (run.steps, len(run.alarms)) == (20000, 1)
        journal.close()
    assert len(told) == 1
    assert told[0].endswith("the disk is full; the run goes on, and it is tried again now and then")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_full_from_the_start_keeps_memory_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steadygrad.journal.mailbox.ROOM", 200_000)
    told: list[str] = []
    with small_disk(tmp_path / "disk", "8m") as disk:
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
        journal = Journal(disk / "run.sgj", about={}, watched=watched(), complain=told.append)
        assert "the disk is full" in journal.lost
        journal.alarm(SPIKE)
        for first in range(1, 20001, 100):
            give_rows(journal, first, first + 99)
        assert not journal.flush()
        ballast.unlink()
        assert journal.flush()
        run = read(disk / "run.sgj")
        journal.close()
    assert len(told) == 1
    assert run.alarms == (SPIKE,)
    assert run.series.last_steps[-1] == 20000
    missing = 20000 - int(run.series.counts.sum())
    assert missing > 0
    assert [note.text for note in run.notes] == [f"{missing:,} rows are missing: {told[0].split(';')[0]}"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_read_only_folder_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Journal(disk / "run.sgj", about={}, watched=watched(), complain=told.append) as journal:
            give_rows(journal, 1, 100)
            assert journal.lost
            assert not journal.flush()
        assert list(disk.iterdir()) == []
    assert len(told) == 1
    assert "run.sgj cannot be written: " in told[0]


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    told: list[str] = []
    with Journal(tmp_path / "file" / "run.sgj", about={}, watched=watched(), complain=told.append) as journal:
        give_rows(journal, 1, 100)
        assert not journal.flush()
    assert len(told) == 1


READER = """
import os, sys
import numpy.ma  # Which numpy imports when it is first needed, perhaps from a folder that is closed to others.
from steadygrad.journal import read
os.setgid(65534), os.setuid(65534)
print(read(sys.argv[1]).steps)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("companions", ["as they are", "closed", "brought without -shm"])
def test_somebody_without_rights_to_the_folder_reads_it_while_it_is_written(companions: str) -> None:
    # Not under pytest's folder, which is closed to others.
    folder = Path(f"/tmp/steadygrad-journal-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        path = folder / "run.sgj"
        with begun(path) as journal:
            give_rows(journal, 1, 500)
            assert journal.flush()
            if companions == "closed":
                for end in ("-shm", "-wal"):
                    os.chmod(f"{path}{end}", 0o644 if end == "-wal" else 0o600)
            elif companions == "brought without -shm":
                (folder / "there").mkdir(mode=0o755)
                shutil.copy(path, folder / "there")
                shutil.copy(f"{path}-wal", folder / "there")
                path = folder / "there" / "run.sgj"
            before = sorted(os.listdir(path.parent))
            done = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, text=True)
            assert done.stdout == "500\n", done.stderr
            assert sorted(os.listdir(path.parent)) == before
    finally:
        shutil.rmtree(folder)


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "run.sgj"
    with begun(path) as journal:
        give_rows(journal, 1, 50)
    content, names = path.read_bytes(), os.listdir(tmp_path)
    read(path)
    assert (path.read_bytes(), os.listdir(tmp_path)) == (content, names)


def test_clocks_may_jump(tmp_path: Path) -> None:
    steps = np.arange(1, 3001)
    times = WHEN + 0.1 * steps
    times[1000:] -= 86_400
    times[2000:] += 1e6
    times[2500] = np.nan
    with begun(tmp_path / "run.sgj", ("a",)) as journal:
        journal.rows(0, steps, times, np.ones((3000, 1)), np.ones(3000), np.ones(3000), np.ones(3000))
    series = read(tmp_path / "run.sgj", most=100).series
    assert series.counts.sum() == 3000
    assert (np.diff(series.steps) > 0).all()


def test_steps_that_are_set_back_do_not_overlap(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj") as journal:
        give_rows(journal, 1, 200)
        give_rows(journal, 101, 400)
    series = read(tmp_path / "run.sgj", most=40).series
    assert series.counts.sum() == 500
    assert (series.last_steps[:-1] < series.steps[1:]).all()


def test_a_forked_child_leaves_the_journal_alone(tmp_path: Path) -> None:
    script = """
    import os, sys
    from pathlib import Path
    from steadygrad.journal import read
    from tests.journal.runs import begun, give_rows, SPIKE
    journal = begun(Path(sys.argv[1]))
    give_rows(journal, 1, 100)
    child = os.fork()
    if child == 0:
        give_rows(journal, 101, 200)
        journal.alarm(SPIKE)
        assert not journal.flush(1.0)
        journal.close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    give_rows(journal, 101, 150)
    assert journal.flush()
    assert os.path.exists(sys.argv[1] + "-wal")
    journal.close()
    run = read(sys.argv[1])
    assert run.steps == 150 and not run.alarms and run.finished and len(run.sessions) == 1
    """
    path = tmp_path / "run.sgj"
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert integrity(path) == "ok"


def test_two_processes_may_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "run.sgj"
    with begun(path) as one, begun(path) as two:
        for first in range(1, 1001, 100):
            give_rows(one, first, first + 99)
            give_rows(two, first, first + 99)
            assert one.flush()
            assert two.flush()
    assert [read(path, session=number).steps for number in (1, 2)] == [1000, 1000]
    assert [session.finished is not None for session in read(path).sessions] == [True, True]


@pytest.mark.long
def test_a_signal_handler_may_use_the_journal(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj") as journal:
        before = signal.signal(signal.SIGALRM, lambda *_: journal.note(1, "a signal"))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for first in range(1, 20001, 10):
                give_rows(journal, first, first + 9)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert journal.flush(20)
    run = read(tmp_path / "run.sgj")
    assert run.steps == 20000
    assert run.notes
