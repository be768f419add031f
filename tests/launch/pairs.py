"""Runs a program twice, by ``python`` and by ``steadygrad run``, and gives both, side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent
STEADYGRAD = str(BIN / "steadygrad")


@dataclass(frozen=True)
class Ran:
    """How a process ended."""

    stdout: str
    stderr: str
    code: int

    @property
    def ours(self) -> list[str]:
        """Lines that steadygrad wrote."""
        return [line for line in self.stderr.splitlines() if _is_ours(line)]

    @property
    def theirs(self) -> str:
        """What the program wrote on standard error."""
        return "".join(line for line in self.stderr.splitlines(keepends=True) if not _is_ours(line))


def _is_ours(line: str) -> bool:
    return line.startswith(("steadygrad: ", "            journal: "))


@dataclass(frozen=True)
class Pair:
    """The same program, plainly and watched."""

    bare: Ran
    watched: Ran


def pair(
    words: Sequence[str],
    cwd: Path,
    *,
    options: Sequence[str] = (),
    stdin: str = "",
    torchrun: bool = False,
) -> Pair:
    """Both at once; ``words`` are the script or ``-m module``, and its arguments."""
    bare, watched = [sys.executable, *words], [STEADYGRAD, "run", *options, *words]
    if torchrun:
        start = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "2"]
        bare, watched = [*start, *words], [*start, "--no-python", *watched]
    begun = [(_begin(command, cwd), stdin) for command in (bare, watched)]
    return Pair(*(_end(process, text) for process, text in begun))


def watched(words: Sequence[str], cwd: Path, *, options: Sequence[str] = (), stdin: str = "") -> Ran:
    """By ``steadygrad run`` alone."""
    return _end(_begin([STEADYGRAD, "run", *options, *words], cwd), stdin)


def _begin(command: Sequence[str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str], stdin: str) -> Ran:
    stdout, stderr = process.communicate(stdin, timeout=240)
    return Ran(stdout, stderr, process.returncode)
