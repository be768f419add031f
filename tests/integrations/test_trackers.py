"""Real trackers, read back with their own means: steps, values and alarms are those of the journal, live and exported alike."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.cli import main
from steadygrad.journal import read
from steadygrad.listen.batch import read_back
from tests.launch.pairs import watched

STEPS, BAD = 70, 60

Numbers = dict[str, dict[int, float]]
"""By name and step."""


def train(journal: Path, tracker: Any) -> None:
    """A run with one batch that is too large, and a clip that acts."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    options: Any = {"clip": "norm:2.0", "overhead": 1.0, "quiet": True, "say": lambda _: None}
    with sg.guard(model, optimizer, journal=journal, trackers=tracker, **options):
        for step in range(1, STEPS + 1):
            x = torch.randn(16, 8) * (1e4 if step == BAD else 1)
            optimizer.zero_grad()
            (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
            optimizer.step()


def kept(journal: Path, *, layers: bool) -> tuple[Numbers, list[str]]:
    """What the journal has: its numbers, and its alarms' codes."""
    found, run = kept_numbers(journal, layers=layers), read(journal)
    assert len(found["steadygrad/grad_norm"]) == len(found["steadygrad/loss"]) == STEPS
    assert min(found["steadygrad/clip_factor"].values()) < 1e-3
    assert [alarm.step for alarm in run.alarms][:1] == [BAD]
    return found, [alarm.code for alarm in run.alarms]


def kept_numbers(journal: Path, *, layers: bool = False) -> Numbers:
    found = Numbers()
    for batch in read_back(read(journal, most=10**9)):
        for step, _, known in batch.rows(layers=layers):
            for name, value in known.items():
                found.setdefault(name, {})[step] = value
    return found


def same(found: Numbers, wanted: Numbers, *, single: bool = False) -> None:
    assert {name: list(values) for name, values in found.items()} == {
        name: list(values) for name, values in wanted.items()
    }
    for name, values in wanted.items():
        expected: Any = np.array(list(values.values()))
        np.testing.assert_array_equal(list(found[name].values()), np.float32(expected) if single else expected)


def test_tensorboard_has_what_the_journal_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    live, journal, exported = tmp_path / "live", tmp_path / "run.sgj", tmp_path / "exported"
    train(journal, sg.integrations.tensorboard.Tracker(live))
    assert main(["export", str(journal), "--to", "tensorboard", "--into", str(exported)]) == 0
    assert f"70 points and 1 alarm of {journal} are in {exported}" in capsys.readouterr().out
    for folder, layers in ((live, False), (exported, True)):
        found, alarms = events(folder)
        wanted, codes = kept(journal, layers=layers)
        same(found, wanted, single=True)
        assert len(alarms) == len(codes) and all(code in text for code, text in zip(codes, alarms, strict=True))
        assert f"steadygrad explain {codes[0]}" in alarms[0]


def events(folder: Path) -> tuple[Numbers, list[str]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    read_events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    read_events.Reload()
    tags: Any = read_events.Tags()
    scalars = {name: {one.step: one.value for one in read_events.Scalars(name)} for name in tags["scalars"]}
    texts = [one for name in tags["tensors"] for one in read_events.Tensors(name)]
    return scalars, [make_ndarray(one.tensor_proto).item().decode() for one in texts]


@pytest.mark.long
def test_wandb_s_offline_files_have_what_the_journal_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    journal = tmp_path / "run.sgj"
    run = wandb.init(project="trial", dir=str(tmp_path))
    run.log({"own": 1.0})
    train(journal, sg.integrations.wandb.Tracker(run))
    run.log({"own": 2.0})
    run.finish()
    (live,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert main(["export", str(journal), "--to", "wandb"]) == 0
    (exported,) = set(tmp_path.glob("wandb/offline-run-*/*.wandb")) - {live}
    for file, layers in ((live, False), (exported, True)):
        found, alerts = offline(file)
        own = found.pop("own", {})
        assert (len(own) == 2) == (file == live), "the program's own rows stay"
        wanted, codes = kept(journal, layers=layers)
        same(found, wanted)
        assert [title.split()[0] for title in alerts] == codes


def offline(file: Path) -> tuple[Numbers, list[str]]:
    """Rows by the step that the curves are drawn against, and titles of alerts, of one file."""
    from wandb.proto import wandb_internal_pb2

    found, alerts = Numbers(), []
    for data in records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "alert":
            alerts.append(record.alert.title)
        if record.WhichOneof("record_type") != "history":
            continue
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        step = row.get("steadygrad/step", row["_step"])
        for name, value in row.items():
            if not name.startswith("_") and name != "steadygrad/step":
                found.setdefault(name, {})[step] = value
    return found, alerts


def records(data: bytes) -> Iterator[bytes]:
    """Of a file in the format of LevelDB's logs: blocks of 32 KiB, in which a record may stand in several parts."""
    at, whole = 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # Full, or the last part.
            yield whole
            whole = b""


@pytest.mark.long
def test_trackio_s_database_has_what_the_journal_has(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    # It reads its folder when it is imported, so a process of its own.
    journal = tmp_path / "run.sgj"
    code = "import sys; from tests.integrations import test_trackers; test_trackers.into_trackio(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(journal)],
        env={**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def into_trackio(path: str) -> None:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    journal = Path(path)
    run = trackio.init(project="trial", name="live", auto_log_cpu=False, auto_log_gpu=False)
    train(journal, sg.integrations.trackio.Tracker(run))
    run.finish()
    assert main(["export", str(journal), "--to", "trackio", "--into", "trial"]) == 0
    for name, layers in (("live", False), ("run", True)):
        found = Numbers()
        for row in SQLiteStorage.get_logs("trial", name):
            for key, value in row.items():
                if key.startswith("steadygrad/"):
                    found.setdefault(key, {})[row["step"]] = value
        wanted, codes = kept(journal, layers=layers)
        same(found, wanted)
        alerts = SQLiteStorage.get_alerts("trial", name)
        assert [one["title"].split()[0] for one in alerts] == codes, alerts


@pytest.mark.long
def test_an_mlflow_server_has_what_the_journal_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    journal = tmp_path / "run.sgj"
    with server(tmp_path) as address:
        client = mlflow.MlflowClient(address)
        train(journal, sg.integrations.mlflow.Tracker(client=client, name="live"))
        assert main(["export", str(journal), "--to", "mlflow", "--into", address]) == 0
        assert f"of {address}" in capsys.readouterr().out
        experiment = client.get_experiment_by_name("steadygrad").experiment_id
        runs = {run.info.run_name: run for run in client.search_runs([experiment])}
        assert [run.info.status for run in runs.values()] == ["FINISHED"] * 2
        for name, layers in (("live", False), ("run", True)):
            wanted, codes = kept(journal, layers=layers)
            number = runs[name].info.run_id
            found = {one: {m.step: m.value for m in client.get_metric_history(number, one)} for one in wanted}
            assert set(runs[name].data.metrics) == set(wanted)
            same(found, wanted)
            alarms = [text for tag, text in runs[name].data.tags.items() if tag.startswith("steadygrad.alarm.")]
            assert [text.split()[0] for text in alarms] == codes


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """A tracking server on loopback, with SQLite behind it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (folder / "server.log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, "--workers", "1"], stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: urllib.request.urlopen(f"{address}/health", timeout=5).status == 200, folder / "server.log")
        yield address
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(30)


def wait_until(true: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if true():
                return
        time.sleep(0.5)
    pytest.fail(f"the server does not answer: {log.read_text()[-2000:]}")


TRAIN = """
import torch
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(20):
    optimizer.zero_grad()
    (model(torch.randn(16, 4)) - 1).square().mean().backward()
    optimizer.step()
"""


@pytest.mark.long
def test_a_tracker_that_the_command_names_gets_what_the_journal_has(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    (tmp_path / "train.py").write_text(TRAIN)
    options = ["--journal", "run.sgj", "--tracker", "tensorboard:board", "--overhead", "1"]
    ran = watched(["train.py"], tmp_path, options=options)
    assert ran.code == 0, ran.stderr
    scalars, _ = events(tmp_path / "board")
    for name, values in kept_numbers(tmp_path / "run.sgj").items():
        assert list(scalars[name]) == list(values) == list(range(1, 21)), name


def test_a_tracker_that_there_is_not_starts_no_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text("print('it ran')\n")
    assert main(["run", "--tracker", "comet", str(tmp_path / "train.py")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "unknown tracker 'comet'; known are tensorboard, wandb, mlflow, trackio" in said.err
