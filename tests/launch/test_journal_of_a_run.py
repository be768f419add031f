"""What guards a run does not depend on what records it: a journal that cannot be is refused, one that is taken away replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import steadygrad
from steadygrad.errors import JournalError
from steadygrad.journal.read import read
from steadygrad.launch.session import Plan, Session
from steadygrad.settings import RunSettings
from tests.families import always
from tests.launch.pairs import watched

TRAIN = """
import glob, os, sys, time
import torch
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for step in range(40):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).pow(2).mean().backward()
    optimizer.step()
    if len(sys.argv) > 1:
        time.sleep(0.1)
        if step == 10:
            (path,) = glob.glob("runs/*.sgj")
            os.remove(path) if sys.argv[1] == "removed" else os.truncate(path, int(sys.argv[1]))
print("trained")
"""


def long_name(folder: Path) -> str:
    return "a" * 300 + ".sgj"


def folder_name(folder: Path) -> str:
    (folder / "taken").mkdir()
    return "taken"


def text_file(folder: Path) -> str:
    (folder / "notes.txt").write_text("not a journal\n" * 9)
    return "notes.txt"


def below_a_file(folder: Path) -> str:
    (folder / "file").write_text("")
    return "file/run.sgj"


def damaged(folder: Path) -> str:
    (folder / "bad.sgj").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    return "bad.sgj"


BAD: tuple[Callable[[Path], str], ...] = (long_name, folder_name, text_file, below_a_file, damaged)


@pytest.mark.long
@pytest.mark.parametrize("made", BAD)
def test_a_journal_that_cannot_be_is_refused_before_the_program_starts(
    made: Callable[[Path], str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    name = made(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = watched(["train.py"], tmp_path, options=["--clip", "value:-1,1", "--journal", name])
    assert (ran.code, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("steadygrad: error: ")
    assert "name" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.long
@pytest.mark.parametrize("how", always(["removed", "0", "5000"], "removed"))
def test_one_that_is_taken_away_in_mid_run_goes_on_in_a_new_file(how: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    ran = watched(["train.py", how], tmp_path, options=["--no-check"])
    assert (ran.code, ran.stdout) == (0, "trained\n")
    told = [line for line in ran.ours if "the run goes on in" in line]
    assert len(told) == 1
    (new,) = (tmp_path / "runs").glob("*-2.sgj")
    assert f"the run goes on in runs/{new.name}" in told[0]
    assert f"journal: runs/{new.name} " in ran.ours[-1]
    assert read(new).summary["steps"] == 40


def test_a_run_whose_journal_fails_later_is_guarded_without_one(tmp_path: Path) -> None:
    """Between the start and the first guard another program may put something in its place."""
    import torch

    said: list[str] = []
    settings = RunSettings(journal=text_file(tmp_path), clip="norm:0.001", check=False)
    session = Session(Plan(settings, str(tmp_path), 0.0))
    session.tell = lambda *lines: said.extend(lines)  # type: ignore[assignment]
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session.made(optimizer, None)
    session.guard_those_made()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert float(norm) <= 0.001 * 1.01
    assert [line for line in said if line.startswith("no journal: ") and "guarded without one" in line]
    session.close()
    with pytest.raises(JournalError):
        steadygrad.guard(model, optimizer, journal=str(tmp_path / "notes.txt"))
