"""An agent's client starts the real command and asks it about a real run: every answer is short, and nothing is changed."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.docs.test_readme import TEXTS, parse
from tests.journal.runs import whole
from tests.report.records import vanishing

pytest.importorskip("mcp.server.mcpserver", reason="the extra mcp is not installed")

from tests.agents.served import COMMAND, ask, tools

TRAIN = """
import torch
from torch import nn

import steadygrad as sg

torch.manual_seed(0)
x = torch.randn(64, 8)
y = x.sum(1, keepdim=True)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
with sg.guard(model, optimizer, journal=journal, quiet=True):
    for step in range(120):
        batch = x * (40 if step == 100 else 1)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(batch), y).backward()
        optimizer.step()
"""

PAGE = TEXTS["docs/agents.md"]
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from steadygrad.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 120 steps whose 101st batch is 40 times too large, a saved report, and files that are neither."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "train.py").write_text(TRAIN)
    runpy.run_path(str(folder / "train.py"), init_globals={"journal": str(folder / "runs" / "spike.sgj")})
    (folder / "report.json").write_text(vanishing().to_json())
    (folder / "notes.txt").write_text("not a journal\n" * 9)
    (folder / "bytes").write_bytes(b"\xff\xfe\x00")
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.long
def test_an_agent_finds_the_batch_that_made_the_spike(folder: Path) -> None:
    before = contents(folder)
    listed, shown, why, page, cure, report = ask(
        folder,
        ("list_runs", {}),
        ("show_run", {"journal": "runs/spike.sgj"}),
        ("explain_alarm", {"journal": "runs/spike.sgj", "number": 1}),
        ("explain", {"word": "gradient-spike"}),
        ("explain_cure", {"name": "fold"}),
        ("read_report", {"report": "report.json"}),
    )
    (run,) = listed.body["runs"]
    assert (run["journal"], run["state"], run["steps"]) == ("runs/spike.sgj", "finished", 120)
    alarm = shown.body["alarms"][0]
    assert (alarm["step"], alarm["code"]) == (101, "SG206")
    assert alarm["line"] == "train.py:10:52" and alarm["expression"] == "nn.Linear(16, 1)"
    evidence = why.body["evidence"]
    at, others = [[one["gradient_norm"] for one in evidence if (one["step"] == 101) is here] for here in (True, False)]
    assert len(at) == 1 and at[0] > 10 * max(others)
    assert why.body["layers"][0]["layer"] == alarm["layer"] and why.body["layers"][0]["factor"] > 10
    assert why.body["source"] == ["10: model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))"]
    assert page.text.startswith("# SG206 gradient-spike") and cure.text.startswith("# fold")
    assert report.body["verdict"] == "will not train" and report.body["findings"][0]["id"] == "F1"
    assert contents(folder) == before


@pytest.mark.long
def test_the_page_lists_the_tools_which_all_say_that_they_only_read(folder: Path) -> None:
    found = tools(folder)
    assert [one.name for one in found] == re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert all(one.annotations.read_only_hint and one.description for one in found)


def test_the_settings_of_the_page_start_this_command() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    (server,) = json.loads(block)["mcpServers"].values()
    assert server["command"] == "steadygrad"
    parse(" ".join([server["command"], *server["args"]]))


@pytest.mark.long
def test_what_cannot_be_answered_is_one_sentence(folder: Path) -> None:
    outside = folder.parent / "outside.sgj"
    shutil.copyfile(folder / "runs" / "spike.sgj", outside)
    (folder / "link.sgj").symlink_to(outside)
    cases = [
        ("show_run", {"journal": "nope.sgj"}, "no such file"),
        ("show_run", {"journal": "notes.txt"}, "notes.txt is no journal of steadygrad; name another file"),
        ("show_run", {"journal": "runs"}, "is a folder; name a journal in it"),
        ("show_run", {"journal": ""}, "is a folder; name a journal in it"),
        ("show_run", {"journal": "a\0b"}, "no such file"),
        ("show_run", {"journal": "../outside.sgj"}, "../outside.sgj is outside of the folder that is served"),
        ("show_run", {"journal": str(outside)}, "is outside of the folder that is served"),
        ("show_run", {"journal": "link.sgj"}, "link.sgj is outside of the folder that is served"),
        ("show_run", {"journal": "x" * 100_000}, "its name has 100,000 characters"),
        ("show_run", {"journal": "x" * 1000}, "File name too long"),
        ("show_run", {"journal": "runs/spike.sgj", "session": 7}, "has no session 7; it has session 1 alone"),
        ("show_run", {"journal": "runs/spike.sgj", "first_alarm": 99}, "has no alarm 99; it has alarms 1 to"),
        ("explain_alarm", {"journal": "runs/spike.sgj", "number": 0}, "has no alarm 0; it has alarms 1 to"),
        ("explain", {"word": "SG999"}, "no rule 'SG999'"),
        ("explain_cure", {"name": "prayer"}, "no cure 'prayer'"),
        ("read_report", {"report": "nope.json"}, "nope.json is no file; name one that steadygrad check"),
        ("read_report", {"report": "notes.txt"}, "cannot read the report: not JSON"),
        ("read_report", {"report": "bytes"}, "bytes is not text in UTF-8"),
        ("read_report", {"report": "../outside.sgj"}, "is outside of the folder that is served"),
    ]
    answers = ask(folder, *[(name, arguments) for name, arguments, _ in cases], ("list_runs", {}))
    *failed, listed = answers
    for answer, (name, arguments, wanted) in zip(failed, cases, strict=True):
        assert answer.failed and wanted in answer.text, (name, arguments, answer.text)
        assert len(answer.text) <= 2600 and "\n" not in answer.text and "Traceback" not in answer.text
    assert [one["journal"] for one in listed.body["runs"]] == ["runs/spike.sgj"], "a link that leads outside is no run"
    (folder / "link.sgj").unlink()


@pytest.mark.long
def test_it_answers_where_torch_cannot_be_imported(folder: Path) -> None:
    calls = [
        ("list_runs", {}),
        ("show_run", {"journal": "runs/spike.sgj"}),
        ("explain_alarm", {"journal": "runs/spike.sgj", "number": 1}),
        ("explain", {"word": "trunk"}),
        ("explain_cure", {"name": "fold"}),
        ("read_report", {"report": "report.json"}),
    ]
    assert not any(one.failed for one in ask(folder, *calls, command=("-c", WITHOUT_TORCH, "mcp")))


@pytest.mark.long
def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    """Its log lies beside it, as SQLite keeps one; the server leaves no file of its own."""
    whole(tmp_path / "run.sgj")
    writes = "import sqlite3, sys; db = sqlite3.connect('run.sgj'); db.execute('PRAGMA journal_mode=WAL'); "
    writes += (
        "db.execute(\"INSERT INTO notes (session, step, text) VALUES (1, 7, 'written meanwhile')\"); db.commit(); "
    )
    writes += "print('ready', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", writes], cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        before = set(contents(tmp_path))
        (shown,) = ask(tmp_path, ("show_run", {"journal": "run.sgj"}))
        after = set(contents(tmp_path))
        writer.communicate("")
    assert "step 7: written meanwhile" in shown.body["notes"]
    assert before == after == {"run.sgj", "run.sgj-wal", "run.sgj-shm"}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcp", str(tmp_path / "nope")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_without_the_package_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    assert main(["mcp"]) == 2
    assert 'mcp is not installed; next: pip install "steadygrad[mcp]"' in capsys.readouterr().err


@pytest.mark.long
def test_a_client_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """First of its two pipes the one that it reads from, so that the answer has nobody to go to."""
    pipe = subprocess.PIPE
    command = [sys.executable, *COMMAND, str(tmp_path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        server.stdout.close()
        server.stdin.write(f"{json.dumps(HELLO)}\n")
        server.stdin.close()
        said = server.stderr.read()
    assert (server.returncode, said) == (0, "")


@pytest.mark.long
def test_without_a_standard_input_it_says_so(tmp_path: Path) -> None:
    command = ["sh", "-c", '"$0" -m steadygrad mcp "$1" <&-', sys.executable, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith(
        "steadygrad: error: mcp speaks to a client on standard input"
    )
