"""Carries the watch into the programs that a launcher starts: `torchrun`, `-m torch.distributed.run`, `accelerate launch`.

Each starts Python again with a script. It then starts `steadygrad run` with that script in its place, and with the
options of this run; the environment of the programs is left as it is. May rely on the standard library.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any

from steadygrad.frames import not_counted
from steadygrad.launch.import_hook import when_imported
from steadygrad.settings import RunSettings

_FLAGS = ("-u",)
"""Of the interpreter, as launchers give them."""


def follow_launchers(settings: RunSettings, started: Callable[[], None]) -> None:
    """Watch what a launcher starts from now on, and call ``started()`` for each launch."""

    def through_us(command: Sequence[Any]) -> list[Any]:
        found = watched_command(command, settings)
        if found != list(command):
            started()
        return found

    when_imported("torch.distributed.launcher.api", lambda module: _cover_agents(module, through_us))
    when_imported("accelerate.utils.launch", lambda module: _cover_commands(module, through_us))


def watched_command(command: Sequence[Any], settings: RunSettings) -> list[Any]:
    """Turn a command that runs Python into one that runs it watched; return any other, and a watched one, unchanged."""
    python, *words = command
    if python != sys.executable:
        return list(command)
    ours = next((at for at, word in enumerate(words) if word not in _FLAGS), len(words))
    program = words[ours:]
    if not program or program[:2] == ["-m", "steadygrad"] or (program[0] != "-m" and str(program[0]).startswith("-")):
        return list(command)
    return [python, *words[:ours], "-m", "steadygrad", "run", *_options(settings), "--", *program]


def _options(settings: RunSettings) -> list[str]:
    """Return the options for the command line that differ from their defaults."""
    words: list[str] = []
    for one in fields(RunSettings):
        value, option = getattr(settings, one.name), f"--{one.name.replace('_', '-')}"
        if value == one.default:
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{one.name}")
        else:
            words += [option, str(value)]
    return words


def _cover_agents(module: ModuleType, through_us: Callable[[Sequence[Any]], list[Any]]) -> None:
    """``module`` is ``torch.distributed.launcher.api``. What says of a failed program which it was has its name from before; an
    entry point that is a function is started by ``multiprocessing``."""
    home: Any = module
    original = home.WorkerSpec

    def spec(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if isinstance(made.entrypoint, str):
            made.entrypoint, *words = through_us([made.entrypoint, *made.args])
            made.args = tuple(words)
        return made

    home.WorkerSpec = not_counted(spec)


def _cover_commands(module: ModuleType, through_us: Callable[[Sequence[Any]], list[Any]]) -> None:
    """``module`` is ``accelerate.utils.launch``, which makes the command of a single process."""
    home: Any = module
    original = home.prepare_simple_launcher_cmd_env

    @functools.wraps(original)
    def prepare_simple_launcher_cmd_env(*args: Any, **kwargs: Any) -> Any:
        command, environment = original(*args, **kwargs)
        return through_us(command), environment

    home.prepare_simple_launcher_cmd_env = not_counted(prepare_simple_launcher_cmd_env)
