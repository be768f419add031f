"""``start``: installs the watch, then runs the program. What the command line calls, once it has read its options."""

from __future__ import annotations

import time
from pathlib import Path

from steadygrad.errors import ProgramError, TrainingStopped
from steadygrad.launch.plan import Plan
from steadygrad.launch.program import Program
from steadygrad.launch.running import run_program
from steadygrad.launch.watching import watch_this_process
from steadygrad.settings import RunSettings

STOPPED = 1
"""Exit code of a program that the guard stopped on request."""


def start(program: Program, settings: RunSettings) -> int:
    """Run the program, watched, and give its exit code. Raises what ends a program otherwise: ``SystemExit``, Ctrl-C."""
    session = watch_this_process(Plan(settings, str(Path.cwd()), time.time()))
    try:
        return run_program(program)
    except TrainingStopped as error:
        session.tell(str(error))
        return STOPPED
    except ProgramError:
        session.dismiss()
        raise
