"""What training and steadygrad make of one script: the number it prints last, and what is told of it by each way of asking.

Every way is the command that a user types, in a process of its own; that of ``check`` is forked from this one, which has imported
torch already. Knows the kinds; judges nothing.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sklearn.datasets
import sklearn.preprocessing  # noqa: F401 - what most scripts import, once for all.
import torch

from bench.reports.kinds import Kind
from steadygrad.cli import main

SOURCE = Path(__file__).parents[2] / "src"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "ignore"}
LONGEST = 300
"""Seconds that one command may take on a busy machine."""

WAYS = ("check", "bare", "run")


@dataclass(frozen=True)
class Told:
    """What one way of asking said of one script."""

    verdict: str
    """The verdict, "no verdict", or why there is none."""
    exit: int
    """Of ``check``: 0, 1 with an error among the findings, 2 could not; of ``run``: the script's own."""
    findings: tuple[dict[str, Any], ...]
    """Errors and warnings in the order told: code, severity, message, lines (first and last; of the script
    itself), step, and by how many steps it may be earlier."""


def trained(kind: Kind, which: str) -> float:
    """The last number that the script prints; NaN where it prints none."""
    done = _process(str(kind.path(which)))
    words = done.stdout.split()
    try:
        return float(words[-1]) if done.returncode == 0 and words else math.nan
    except ValueError:
        return math.nan


def ask(kind: Kind, which: str, way: str) -> Told | None:
    """What steadygrad tells; None where the kind has nothing to ask this way."""
    if way == "run":
        return run(kind, which)
    if way == "bare":
        return check(kind, which, f"{kind.path(which)}:{kind.bare}") if kind.bare else None
    return check(kind, which, *kind.arguments(which)) if kind.check else None


def check(kind: Kind, which: str, *arguments: str) -> Told:
    """``steadygrad check`` with these arguments."""
    done = _forked("check", *arguments, "--output-format", "json")
    if done.returncode == 2 or "{" not in done.stdout:
        return Told(done.stderr.strip()[-300:], done.returncode, ())
    report = json.loads(done.stdout[done.stdout.index('{\n  "version"') :])
    return Told(report["verdict"], done.returncode, _found(report["findings"], kind.path(which)))


def run(kind: Kind, which: str) -> Told:
    """``steadygrad run``: what its look at the first step found, then its alarms, step by step."""
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "run.sgj")
        done = _process("-m", "steadygrad", "run", "--journal", journal, str(kind.path(which)))
        told = shown(Path(journal), kind.path(which), done.returncode)
    return told or Told(done.stderr.strip()[-300:], done.returncode, ())


def shown(journal: Path, script: Path, exit_code: int) -> Told | None:
    """What a journal holds: the first look, then the alarms; None where it cannot be read."""
    done = _process("-m", "steadygrad", "show", str(journal), "--output-format", "json")
    if done.returncode:
        return None
    story = json.loads(done.stdout)
    first = next((look for look in story["looks"] if look["alarm"] is None), None)
    looked = _found(first["findings"], script, step=first["step"]) if first else ()
    verdict = (first["verdict"] or first["note"]) if first else "no verdict"
    return Told(verdict, exit_code, looked + _found(story["alarms"], script))


def _found(findings: list[dict[str, Any]], script: Path, step: int = 0) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "code": one["code"],
            "severity": one["severity"],
            "message": one["message"] + (f"; cause: {one['cause']}" if one.get("cause") else ""),
            "lines": _lines(one["location"], script),
            "step": one.get("step", step),
            "delay": one.get("delay", 0),
        }
        for one in findings
        if one["severity"] in ("error", "warning")
    )


def _lines(location: dict[str, Any] | None, script: Path) -> list[int] | None:
    if location is None or Path(location["path"]).resolve() != script.resolve():
        return None
    return [location["line"], location["end_line"]]


def _forked(*arguments: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("out", "err")]
        child = multiprocessing.get_context("fork").Process(target=_command, args=(arguments, *paths))
        child.start()
        child.join(LONGEST)
        if child.exitcode is None:
            child.kill()
            child.join()
        out, err = (path.read_text(encoding="utf-8") for path in paths)
        return subprocess.CompletedProcess(arguments, 2 if child.exitcode is None else child.exitcode, out, err)


def _command(arguments: tuple[str, ...], out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    # Whoever asks may have put other streams in place of the process's own.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.chdir(SOURCE.parent)
    torch.set_num_threads(1)
    sys.exit(main(arguments))


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=LONGEST,
        check=False,
        cwd=Path(__file__).parents[2],
    )
