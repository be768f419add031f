"""``start``: installs the watch, then runs the program. What the command line calls, once it has read its options."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from steadygrad.errors import ProgramError, SteadygradError, SubjectError, TrainingStopped
from steadygrad.launch.plan import Plan
from steadygrad.launch.program import Program
from steadygrad.launch.running import run_program
from steadygrad.launch.watching import watch_this_process
from steadygrad.settings import RunSettings, Settings

_ELSEWHERE = (
    "the program trains in a process that it starts, where --only-check does not follow; next: let it train in its own "
    "process, or check the model alone with steadygrad check FILE.py:NAME"
)
STOPPED = 1
"""Exit code of a program that the guard stopped on request."""


def start(program: Program, settings: RunSettings, tracker: Callable[[], Any] | None = None) -> int:
    """Run the program, watched, and give its exit code; ``tracker`` makes what shows it live.

    Raises what ends a program otherwise: ``SystemExit``, Ctrl-C.
    """
    session = watch_this_process(Plan(settings, str(Path.cwd()), time.time(), tracker))
    try:
        return run_program(program)
    except TrainingStopped as error:
        session.tell(str(error))
        return STOPPED
    except ProgramError:
        session.dismiss()
        raise


def check_first_step(program: Program, settings: RunSettings, checks: Settings, deliver: Callable[[Any], int]) -> int:
    """Run the program up to its first step, check that, and give what ``deliver`` makes of the record.

    What the program prints goes to standard error. Raises ``SteadygradError`` where no check could be made.
    """

    def alone() -> Any:
        from steadygrad.launch.check_alone import CheckAlone  # Imports torch, which the program has by then.

        return CheckAlone(checks, program.words, settings.clip)

    # What is compiled cannot be looked into, and one step is not worth compiling for.
    os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
    quiet = replace(RunSettings(), no_journal=True, quiet=True, probe_every=0, check=False)
    out, sys.stdout = sys.stdout, sys.stderr
    session = watch_this_process(Plan(quiet, str(Path.cwd()), time.time(), alone=True))
    session.check_alone(alone)
    code: Any
    try:
        code = run_program(program)
    except SystemExit as end:
        code = end.code
    finally:
        session.dismiss()
    outcome = None if session.alone is None else session.alone.outcome
    if outcome is None and session.children:
        raise SubjectError(_ELSEWHERE)
    if outcome is None:
        raise SubjectError(
            f"{program.words} ended (exit {0 if code is None else code}) without an optimizer step, so there was nothing to "
            "check; give it the arguments with which it trains, or check the model alone with steadygrad check FILE.py:NAME"
        )
    if isinstance(outcome, SteadygradError):
        raise outcome
    with contextlib.redirect_stdout(out):
        return deliver(outcome)
