"""``steadygrad show`` and ``steadygrad watch``, as they are run."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steadygrad.cli import main
from steadygrad.journal import Journal
from tests.journal.runs import SPIKE, begun, give_rows, whole

COMMAND = [sys.executable, "-m", "steadygrad"]

WRITER = """
import os, sys, time
from pathlib import Path
from tests.journal.runs import SPIKE, begun, give_rows
journal = begun(Path(sys.argv[1]))
for first in range(1, 100 * int(sys.argv[2]), 10):
    give_rows(journal, first, first + 9)
    if first == 121:
        journal.alarm(SPIKE)
        print("spike", flush=True)
    time.sleep(0.1)
if sys.argv[3] == "close":
    journal.close()
else:
    journal.flush()
    os._exit(9)
"""


def test_show_tells_the_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(whole(tmp_path / "run.sgj"))]) == 0
    shown = capsys.readouterr().out
    for part in (
        "300 steps in",
        "gradient",
        "loss",
        "gradient norm of each layer",
        "▲1 step 120 warning[SG206]",
        "2 alarms",
        "1 action",
        "3 probes of a whole step",
    ):
        assert part in shown
    assert "\x1b" not in shown


def test_colours_where_they_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(whole(tmp_path / "run.sgj")), "--color", "always"]) == 0
    assert "\x1b[48;5;" in capsys.readouterr().out


def test_width_is_the_terminals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(whole(tmp_path / "run.sgj"))
    for width in (80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(["show", path]) == 0
        assert max(map(len, capsys.readouterr().out.split("\n"))) == width


def test_an_older_session_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = whole(tmp_path / "run.sgj")
    begun(path).close()
    assert main(["show", str(path)]) == 0
    assert "no step yet" in capsys.readouterr().out
    assert main(["show", str(path), "--session", "1"]) == 0
    shown = capsys.readouterr().out
    assert "300 steps" in shown
    assert "session 1 of 2" in shown
    assert "--session N shows another one: 2 (" in shown


@pytest.mark.long
def test_json_and_csv_go_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(whole(tmp_path / "run.sgj"))
    for form in ("text", "json", "csv", "parquet"):
        target = tmp_path / f"run.{form}"
        assert main(["show", path, "--output-format", form, "--output-file", str(target)]) == 0
        assert target.stat().st_size > 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 300
    assert len(list(csv.reader((tmp_path / "run.csv").read_text().splitlines()))) == 301
    assert (tmp_path / "run.parquet").read_bytes().startswith(b"PAR1")


@pytest.mark.long
def test_a_picture_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = str(whole(tmp_path / "run.sgj"))
    for end, begin in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        target = tmp_path / f"run.{end}"
        assert main(["show", path, "--plot", str(target)]) == 0
        assert target.read_bytes().startswith(begin)
        shown = capsys.readouterr()
        assert "▲1 step 120" in shown.out
        assert shown.err == f"drawn into {target}\n"
    assert main(["show", path, "--plot", str(tmp_path / "run.txt")]) == 2
    assert "name it .png, .svg or .pdf" in capsys.readouterr().err


def test_points_are_as_many_as_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(whole(tmp_path / "run.sgj"))
    assert main(["show", path, "--output-format", "csv", "--points", "20"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 21
    assert main(["show", path, "--output-format", "json", "--series", "--points", "20"]) == 0
    assert len(json.loads(capsys.readouterr().out)["series"]["steps"]) == 20


@pytest.mark.long
def test_a_run_that_was_killed_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "run.sgj"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "99", "kill"], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(1)
    writer.kill()
    writer.communicate()
    done = subprocess.run([*COMMAND, "show", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not finished, last write 2" in done.stdout
    assert "▲1 step 120 warning[SG206]" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("end", ["close", pytest.param("kill", marks=pytest.mark.long)])
def test_watch_follows_another_process_to_its_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / "run.sgj"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "3", end], stdout=subprocess.DEVNULL)
    until(lambda: path.exists() and path.stat().st_size > 0)
    done = subprocess.run([*COMMAND, "watch", str(path), "--every", "0.2"], capture_output=True, text=True, timeout=240)
    writer.wait()
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert (
        sum(line.startswith("alarm 1: step 120 warning[SG206] train.py:4:16 gradient-spike: 14") for line in lines) == 1
    )
    assert lines[-1].startswith("step 300 · gradient norm ")
    assert lines[-1].endswith("finished") == (end == "close")


def test_watch_ends_with_ctrl_c(tmp_path: Path) -> None:
    with begun(tmp_path / "run.sgj") as journal:
        give_rows(journal, 1, 10)
        journal.alarm(SPIKE)
        journal.flush()
        command = [*COMMAND, "watch", str(journal.path)]
        watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("alarm 1: ")
        watching.send_signal(signal.SIGINT)
        _, complaint = watching.communicate(timeout=240)
    assert (watching.returncode, complaint) == (0, "")


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="a terminal of POSIX")
def test_watch_draws_on_a_terminal(tmp_path: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    path = tmp_path / "run.sgj"
    with begun(path) as journal:
        give_rows(journal, 1, 100)
        journal.flush()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        watching = subprocess.Popen(
            [*COMMAND, "watch", str(path)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        seen = drained(ours, until_seen=b"100 steps")
        give_rows(journal, 101, 200)
        seen += drained(ours, until_seen=b"200 steps")
        finish(journal)
    seen += drained(ours, until_seen=None)
    assert watching.wait(20) == 0
    os.close(ours)
    assert seen.index(b"\x1b[?1049h") < seen.index(b"100 steps") < seen.index(b"\x1b[?1049l")
    assert b"48;5;" in seen
    after = seen[seen.index(b"\x1b[?1049l") :]
    assert b"200 steps" in after
    assert b"finished" in after


def finish(journal: Journal) -> None:
    journal.close()


def drained(terminal: int, *, until_seen: bytes | None) -> bytes:
    """What comes from the terminal, up to a text or to its end."""
    import select

    seen, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
        if until_seen is not None and until_seen in seen:
            break
    return seen


def until(true: object, seconds: float = 120) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
