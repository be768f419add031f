"""Runs a program twice, by ``python`` and by ``steadygrad run``, and gives both, side by side."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent
STEADYGRAD = str(BIN / "steadygrad")
THEIRS = ("torch._dynamo",)
"""The modules that a program's process has from the start: every optimizer imports torch's compiler."""
OURS = (
    *THEIRS,
    "steadygrad.cli.run",
    "steadygrad.launch.start",
    "steadygrad.launch.checking",
    "steadygrad.report.text",
)
"""Those of a watched one."""
PATIENCE = 240.0
"""Seconds."""


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
    fresh: bool = False,
) -> Pair:
    """Both at once; ``words`` are the script or ``-m module``, and its arguments.

    ``fresh``: each in an interpreter of its own.
    """
    bare, watched = [sys.executable, *words], [STEADYGRAD, "run", *options, *words]
    if torchrun:
        start = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "2"]
        bare, watched = [*start, *words], [*start, "--no-python", *watched]
    begun = [_begin(command, cwd, stdin, fresh=fresh or torchrun) for command in (bare, watched)]
    return Pair(*(one.end() for one in begun))


def watched(
    words: Sequence[str], cwd: Path, *, options: Sequence[str] = (), stdin: str = "", fresh: bool = False
) -> Ran:
    """By ``steadygrad run`` alone."""
    return _begin([STEADYGRAD, "run", *options, *words], cwd, stdin, fresh=fresh).end()


def _begin(command: Sequence[str], cwd: Path, stdin: str, *, fresh: bool) -> Begun:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    return Begun(command, cwd, environment, stdin, fresh=fresh)


class Begun:
    """A process that was started, forked from one that has torch or ``fresh``, its streams being files."""

    def __init__(
        self, command: Sequence[str], cwd: Path, environment: dict[str, str], stdin: str, *, fresh: bool
    ) -> None:
        self._files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115
        self._files[0].write(stdin.encode())
        self._files[0].seek(0)
        self._connection: socket.socket | None = None
        if fresh:
            given, *taken = self._files
            self._process = subprocess.Popen(
                command, cwd=cwd, env=environment, stdin=given, stdout=taken[0], stderr=taken[1]
            )
        else:
            self._connection = _server(OURS if command[0] == STEADYGRAD else THEIRS)
            request = {"command": list(command), "folder": str(cwd), "environment": environment}
            numbers = [file.fileno() for file in self._files]
            socket.send_fds(self._connection, [json.dumps(request).encode()], numbers)

    def end(self) -> Ran:
        """Wait until it ends."""
        if self._connection is None:
            code = self._process.wait(PATIENCE)
        else:
            with self._connection, self._connection.makefile() as answer:
                number = int(answer.readline())
                try:
                    code = int(answer.readline())
                except TimeoutError:
                    os.kill(number, signal.SIGKILL)
                    raise
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read().decode())
            file.close()
        return Ran(texts[1], texts[2], code)


@cache
def _socket_of_the_server(modules: tuple[str, ...]) -> str:
    """Start the server that has these modules, once for all tests of this process; it ends with it."""
    folder = tempfile.mkdtemp()
    path = f"{folder}/forks"
    command = [sys.executable, str(Path(__file__).with_name("forkserver.py")), path, *modules]
    server = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL)

    def end() -> None:
        server.kill()
        server.wait()
        shutil.rmtree(folder)

    atexit.register(end)
    return path


def _server(modules: tuple[str, ...]) -> socket.socket:
    """A connection to the server that has these modules, which takes a while until it has imported them."""
    path, until = _socket_of_the_server(modules), time.monotonic() + PATIENCE
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    while True:
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return connection
