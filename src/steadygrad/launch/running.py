"""Runs a program in this process as ``python`` itself would: argv, path, a fresh ``__main__``, exit, tracebacks.

May rely on the standard library; must not know what is watched. ``SystemExit`` goes on up, as it does under ``python``. Any
other exception is shown through ``sys.excepthook`` with the user's frames alone, and the process then ends as it would have
ended: threads joined, ``atexit`` run, exit code 1, or dead of SIGINT.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import sys
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path

from steadygrad.errors import ProgramError, TrainingStopped
from steadygrad.launch.program import BUNDLE, MODULE, Program
from steadygrad.launch.tracebacks import take_ours_out

FAILED = 1
"""Exit code of a program that raised."""

_kept: list[types.ModuleType] = []
"""The ``__main__`` that started us: its contents must stay alive while its functions are on the stack."""


def run_program(program: Program) -> int:
    """Run it to its end; the exit code, where the program set none by ``SystemExit``. Raises ``ProgramError``."""
    main = _become_main()
    try:
        if program.kind == MODULE:
            _run_module(program)
        elif program.kind == BUNDLE:
            _run_bundle(program)
        else:
            _run_script(program, main)
    except (SystemExit, ProgramError, TrainingStopped):
        raise
    except KeyboardInterrupt as error:
        _show(error)
        # The interpreter dies of SIGINT for one that reaches it, after its usual end; reported it is already.
        sys.excepthook = _silent
        raise
    except BaseException as error:
        _show(error)
        return FAILED
    return 0


def _become_main() -> types.ModuleType:
    """A fresh ``__main__`` in the place of the one that started us."""
    old = sys.modules["__main__"]
    _kept.append(old)
    main = types.ModuleType("__main__")
    names = vars(main)
    names["__builtins__"] = builtins
    if "__annotations__" in vars(old):
        names["__annotations__"] = {}
    sys.modules["__main__"] = main
    return main


def _set_up(program: Program, path: str) -> None:
    sys.argv[:] = [program.name, *program.arguments]
    # Without a path[0] of its own (python -P), the interpreter gives the program none either.
    if not sys.flags.safe_path:
        sys.path[0] = path


def _run_script(program: Program, main: types.ModuleType) -> None:
    _set_up(program, str(Path(os.path.realpath(program.name)).parent))
    # Joined and not normalised, as the interpreter does it: tracebacks show it.
    path = program.name if Path(program.name).is_absolute() else str(Path.cwd()) + os.sep + program.name
    loader = SourceFileLoader("__main__", path)
    main.__dict__.update(__file__=path, __cached__=None, __loader__=loader)
    exec(_code(path), main.__dict__)  # noqa: S102


def _code(path: str) -> types.CodeType:
    from pkgutil import read_code

    try:
        with Path(path).open("rb") as file:
            compiled: types.CodeType | None = read_code(file)
            if compiled is not None:
                return compiled
            file.seek(0)
            source = file.read()
    except OSError as error:
        raise ProgramError(f"cannot read {path}: {error.strerror or error}") from None
    return compile(source, path, "exec", dont_inherit=True)


def _run_bundle(program: Program) -> None:
    path = str(Path.cwd() / program.name)
    _set_up(program, path)
    _run_as_main("__main__", alter_argv=False)


def _run_module(program: Program) -> None:
    _set_up(program, str(Path.cwd()))
    sys.argv[0] = "-m"
    _run_as_main(program.name, alter_argv=True)


def _run_as_main(name: str, *, alter_argv: bool) -> None:
    """Run by the very function that ``python -m`` calls, so that tracebacks have its lines too."""
    import runpy

    try:
        runpy._run_module_as_main(name, alter_argv=alter_argv)  # type: ignore[attr-defined]
    except SystemExit as error:
        if isinstance(error.__context__, runpy._Error):  # type: ignore[attr-defined]
            raise ProgramError(f"cannot run {'-m ' if alter_argv else ''}{name}: {error.__context__}") from None
        raise


def _show(error: BaseException) -> None:
    """Show the exception as the interpreter shows one that nobody caught."""
    take_ours_out(error)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    # There may be no standard output, or a closed one.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    sys.excepthook(type(error), error, error.__traceback__)


def _silent(*_: object) -> None:
    """Print nothing: stands in for ``sys.excepthook`` where an exception has been shown."""
