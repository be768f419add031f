"""What a user reads of an alarm: what happened, the number, and the next thing to do, in plain words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import steadygrad
from bench.faults.table import FAULTS
from steadygrad.detect.depth import began_at
from steadygrad.record import Alarm, Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns
from steadygrad.report import alarms

SNAPSHOT = Path(__file__).parent / "messages.txt"

SHORT = (
    "nan-batch-early",
    "all-weights-nan-early",
    "empty-mask",
    "sqrt-at-zero",
    "division-by-zero",
    "inf-gradient",
    "spike-mlp-5",
    "spike",
    "corrupted-weights",
    "sudden-explosion",
    "loss-times-1000",
    "climbing-loss",
    "adam-at-0.1",
    "rate-jump",
    "wiped-averages",
    "half-adam-eps",
    "stale-second-moment",
    "drifting-gain",
    "swallowed-updates",
    "dying-layer",
    "detached-layer",
    "cleared-gradients",
    "stuck-optimizer",
    "underflow-autocast",
    "constant-answer",
    "zero-grad-forgotten",
    "no-backward",
    "clip-before-unscale",
    "clip-after-step",
    "clip-of-part",
    "clip-twice",
    "clip-always",
)
BY_THE_CLOCK = ("dying-layer", "detached-layer")
"""What else is said of the cause depends on when weights were last measured, which the budget decides."""
BANNED = re.compile(
    r"\b(told|anew|owed|as told|what comes back|was not|it is told)\b|what comes out of it|\?\?|None|nan\b(?! )",
    re.ASCII,
)


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    """The lines of each of these runs, at default settings."""
    found: dict[str, list[str]] = {}
    for name in SHORT:
        torch.manual_seed(0)
        script = FAULTS[name].make()
        lines: list[str] = []
        guard = steadygrad.guard(script.model, script.optimizer, say=lines.append, **FAULTS[name].options)
        script.run(fingerprints=False)
        guard.detach()
        found[name] = [line for line in lines if re.search(r"\[SG\d{3}\]", line) and "; next: " in line]
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", SHORT)
def test_each_has_a_number_and_a_next_step(name: str, said: dict[str, list[str]]) -> None:
    assert said[name], "an alarm is printed, with what to do next"
    for line in said[name]:
        head, _, body = line.partition(": ")[2].partition(": ")
        assert re.match(r"(error|warning|info)\[SG\d{3}\] [a-z-]+", head), line
        message, _, advice = body.partition("; next: ")
        assert re.search(r"\d", message), line
        assert len(advice) > 10, line
        assert not BANNED.search(line), line


@pytest.mark.long
def test_decades_stand_beside_a_factor(said: dict[str, list[str]]) -> None:
    for line in (one for lines in said.values() for one in lines):
        for found in re.finditer(r"decades?", line):
            assert re.search(r"×[\d.,e]+ \([\d.−]+ $", line[: found.start()]), line


@pytest.mark.long
def test_the_words_are_those_of_the_snapshot(said: dict[str, list[str]]) -> None:
    """Numbers and places differ from machine to machine, and are left out. Write it again with ``REWRITE=1``."""
    text = "".join(f"{name}\n    {plain(said[name][0])}\n" for name in SHORT if name not in BY_THE_CLOCK)
    if os.environ.get("REWRITE"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def plain(line: str) -> str:
    line = re.sub(r" \(/[^)]*\)", "", line)
    line = re.sub(r"; first sign: [^;]*", "", line)
    line = re.sub(r"layers\.\d\.(weight|bias)", "LAYER", line)
    # Of parameters whose norms are nearly equal, which is the greatest depends on the order of sums.
    line = line.replace("its gradient norm is ×", "the gradient norm of LAYER is ×")
    line = re.sub(r"[\d,.]*\d(e[+-]?\d+)?", "#", line)
    return re.sub(r"; without rows? [^;]* the norm is usual", "", line)


def test_an_alarm_names_the_rows_of_the_batch() -> None:
    alarm = Alarm(1, 7, "SG206", "gradient-spike", Severity.WARNING, "", "the norm is ×12 its median", rows=(3, 17, 40))
    assert "without rows 3, 17 and 40 of this batch" in alarms.in_words(alarm)


@pytest.mark.parametrize("code", ["SG101", "SG106", "SG108", "SG201", "SG203", "SG204", "SG206", "SG207", "SG999"])
def test_every_code_has_advice(code: str) -> None:
    assert alarms.advice(code, "")


@pytest.mark.parametrize("kind", [one for one in FaultKind if one])
def test_every_kind_of_fault_has_advice(kind: FaultKind) -> None:
    assert alarms.advice("SG999", kind) != alarms.advice("SG999", "")


TABLES = (alarms._BY_KIND, alarms._BY_CODE)
NOTES = (alarms.LEFT_OUT.format(0.01), alarms.UNSEEN.format(3), alarms.PARTS.format(2))


@pytest.mark.parametrize("text", [one for table in TABLES for one in table.values()])
def test_each_next_step_is_a_command_or_a_line_of_code(text: str) -> None:
    assert re.search(r"steadygrad [a-z]+ |--[a-z]+|torch\.|grep |[\w.]+\(|\w+=|loss \+ ", text), text
    assert not BANNED.search(text)


@pytest.mark.parametrize("note", NOTES)
def test_each_note_has_a_number_and_a_next_step(note: str) -> None:
    message, _, advice = note.partition("; next: ")
    assert re.search(r"\d", message) and len(advice) > 10


def test_layers_that_grow_alike_are_put_down_to_the_loss() -> None:
    names = tuple(f"layers.{at}.{kind}" for at in range(5) for kind in ("weight", "bias"))
    columns = Columns(names, (64, 8) * 5, (True, False) * 5)
    found = began_at(columns, np.full(10, 3.0), 1)
    assert (found.column, found.place) == (None, "loss") and "×1,000" in found.cause


def test_what_was_not_read_is_not_blamed_on_the_optimizer() -> None:
    """Each tenth step is read; weights, which are sampled at each, are NaN first after one that is not."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    guard = steadygrad.guard(model, optimizer, every=10, say=lambda line: None)
    for step in range(1, 121):
        x = torch.randn(16, 8)
        x[0, 0] = torch.nan if step == 87 else 0.0
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    guard.detach()
    (alarm,) = guard.alarms
    assert (alarm.code, alarm.step, alarm.delay) == ("SG203", 87, 0), "weights are sampled at every step"
    assert "optimizer's step makes" not in alarm.message and alarm.cause == ""
    assert "--every 1" in alarm.advice
