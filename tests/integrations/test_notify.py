"""Alarms leave the process as JSON, to a webhook or a command, hold up no step, and have nothing of the model's in them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.cli import main
from steadygrad.errors import SettingsError
from steadygrad.listen.notify import Notify
from steadygrad.record import Alarm, Severity

FIELDS = {"tool", "run", "code", "name", "severity", "step", "module", "message", "page", "text"}
ALARM = Alarm(
    1, 7, "SG206", "gradient-spike", Severity.WARNING, "0.weight", "×40 its median", rows=(3,), cause="the input"
)


@contextlib.contextmanager
def webhook(delay: float = 0.0) -> Iterator[tuple[str, list[Any]]]:
    """An address on loopback, and what was posted to it."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay)
            posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alarms", posted
    finally:
        server.shutdown()
        server.server_close()


def train(notify: str, said: list[str]) -> float:
    """A run with one bad batch; the longest time that a step took after it, in seconds."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    longest = 0.0
    with sg.guard(model, optimizer, notify=notify, probe_every=0, say=said.append):
        for step in range(40):
            began = time.perf_counter()
            x = torch.randn(16, 4) * (1e5 if step == 20 else 1)
            optimizer.zero_grad()
            (model(x) - 12345.678).square().mean().backward()
            optimizer.step()
            longest = max(longest, time.perf_counter() - began) if step > 20 else 0.0
    return longest


def test_a_webhook_gets_each_alarm_once() -> None:
    said: list[str] = []
    with webhook() as (address, posted):
        train(address, said)
    (path, kind, body), *more = posted
    assert (path, kind, more) == ("/alarms", "application/json", [])
    assert set(body) == FIELDS
    assert body["tool"] == "steadygrad" and body["step"] == 21 and body["code"] in said[0]
    assert body["page"] == f"steadygrad explain {body['code']}"


def test_what_is_sent_holds_no_value_of_the_model_or_batch() -> None:
    sent = json.dumps([body for _, _, body in _sent_of(ALARM)])
    assert "median" in sent and "rows" not in sent and "input" not in sent


def _sent_of(alarm: Alarm) -> list[Any]:
    with webhook() as (address, posted):
        Notify(address).alarm(alarm)
    return posted


def test_a_command_gets_the_alarm_on_its_standard_input(tmp_path: Path) -> None:
    reader = tmp_path / "reader.py"
    reader.write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())")
    train(f"{sys.executable} '{reader}' '{tmp_path / 'got.json'}'", [])
    body = json.loads((tmp_path / "got.json").read_text())
    assert set(body) == FIELDS and body["step"] == 21


def test_a_page_that_is_served_is_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEADYGRAD_DOCS", "https://docs.example.org/sg/")
    ((_, _, body),) = _sent_of(ALARM)
    assert body["page"] == "https://docs.example.org/sg/rules/SG206.html"


@pytest.mark.long
def test_a_slow_webhook_holds_up_no_step() -> None:
    said: list[str] = []
    with webhook(delay=2.0) as (address, posted):
        longest = train(address, said)
        assert len(posted) == 1
    assert longest < 1.0


def test_a_webhook_that_never_answers_is_given_up() -> None:
    with webhook(delay=3.0) as (address, _), pytest.raises(OSError):
        Notify(address, limit=0.2).alarm(ALARM)


def test_a_command_that_never_ends_is_ended() -> None:
    began = time.perf_counter()
    with pytest.raises(subprocess.TimeoutExpired):
        Notify(f"{sys.executable} -c 'import time; time.sleep(60)'", limit=0.5).alarm(ALARM)
    assert time.perf_counter() - began < 30


def test_what_fails_to_be_sent_is_said_once_and_the_run_goes_on() -> None:
    said: list[str] = []
    train("http://127.0.0.1:9/nobody", said)
    (line,) = [line for line in said if "webhook" in line]
    assert line.startswith("the webhook did not take what it was sent (URLError")
    assert "the run goes on" in line


@pytest.mark.parametrize("target", ["ftp://host/x", "http:///x", "no-such-command-here --now", "'", ""])
def test_what_is_neither_an_address_nor_a_command_is_refused(target: str) -> None:
    model = nn.Linear(2, 1)
    with pytest.raises(SettingsError, match="notify is"):
        sg.guard(model, torch.optim.SGD(model.parameters(), lr=0.1), notify=target)


@pytest.mark.long
def test_a_program_that_is_run_tells_of_its_alarms(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import torch\n"
        "from torch import nn\n"
        "model = nn.Linear(4, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)\n"
        "for step in range(30):\n"
        "    x = torch.randn(16, 4) * (1e6 if step == 20 else 1)\n"
        "    optimizer.zero_grad()\n"
        "    (model(x) - 1).square().mean().backward()\n"
        "    optimizer.step()\n"
    )
    with webhook() as (address, posted):
        command = [sys.executable, "-m", "steadygrad", "run", "--no-check", "--journal", "run.sgj", "--notify", address]
        done = subprocess.run([*command, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [(body["step"], body["run"]) for _, _, body in posted] == [(21, "run.sgj")]


def test_a_program_is_not_started_where_nobody_can_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "train.py"
    program.write_text("print('it ran')\n")
    assert main(["run", "--notify", "no-such-command-here", str(program)]) == 2
    said = capsys.readouterr()
    assert "there is no such command" in said.err and said.out == ""
