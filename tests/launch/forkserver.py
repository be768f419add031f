"""A process that has imported torch, and forks for each program: a test then waits for the program, not for the import.

Started as ``python forkserver.py SOCKET MODULE…``, with the modules to import. A request is JSON, with the files for the
program's streams; the answer is the process's number, then its exit status.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import os
import signal
import socket
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import Any


def serve(path: str) -> dict[str, Any]:
    """Serve for ever; in a forked child, return the request."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                return _attend(connection)
            connection.close()


def _attend(connection: socket.socket) -> dict[str, Any]:
    """Fork once more, and tell how the child ends; return the request in that child."""
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        connection.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    request: dict[str, Any] = json.loads(message)
    return request


def run(request: dict[str, Any]) -> None:
    """Run as ``python`` runs a program: streams, environment, folder, arguments, path, a fresh ``__main__``."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8")  # noqa: SIM115
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = io.TextIOWrapper(open(number, "wb", 0), encoding="utf-8", write_through=True)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    program, *arguments = request["command"]
    if program == sys.executable and arguments[0] == "-m":
        import runpy

        sys.path[0] = os.getcwd()
        sys.argv[:] = ["-m", *arguments[2:]]
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        return
    if program == sys.executable:
        program, *arguments = arguments
    sys.argv[:] = [program, *arguments]
    path = os.path.join(os.getcwd(), program)
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    main = types.ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    vars(main).update(__annotations__={}, __builtins__=builtins, __cached__=None, __file__=path, __loader__=loader)
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), vars(main))


_kept: list[types.ModuleType] = []


def show(error: BaseException) -> None:
    """Show what nobody caught, without the frames of this file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


if __name__ == "__main__":
    for module in sys.argv[2:]:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    asked = serve(sys.argv[1])
    try:
        run(asked)
    except SystemExit:
        raise
    except BaseException as error:
        show(error)
        sys.exit(1)
