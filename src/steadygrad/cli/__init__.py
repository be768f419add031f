"""The command line: one file a command, found in this folder; each parses, calls and renders, and holds no logic.

A command is a file here with a click command called ``command``. Nothing here may import torch before it is needed:
``--help``, ``rules``, ``explain`` and ``report`` answer at once.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence

import click

from steadygrad import __version__
from steadygrad.cli.failing import complain, show_user_traceback
from steadygrad.errors import SteadygradError, UserCodeError

CLEAN, FINDINGS, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: nothing found, something found at the fail level, could not check, stopped by the user."""

_HELPERS = ("completing", "delivering", "failing", "formats", "progress", "subject")


class Commands(click.Group):
    """Commands by file name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = {info.name for info in pkgutil.iter_modules(__path__)} - set(_HELPERS)
        return ["check", *sorted(found - {"check"})]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command


@click.command(cls=Commands, name="steadygrad", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="steadygrad")
def group() -> None:
    """Find where and why gradients vanish or explode in a PyTorch model, before training, at the line of code.

    Start with: steadygrad check net.py
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; nothing of ours escapes as a traceback."""
    done = _parse_and_run(arguments)
    if isinstance(done, int):
        return done
    # A program of the user's: what it raises, SystemExit and Ctrl-C among it, is its own and nobody's here to handle.
    try:
        return done()
    except SteadygradError as error:
        if isinstance(error, UserCodeError) and error.__cause__ is not None:
            show_user_traceback(error.__cause__)
        complain(str(error))
        return FAILED


def _parse_and_run(arguments: Sequence[str] | None) -> int | Callable[[], int]:
    """Return the exit code of a command, or what to run outside of the handling of a command's errors."""
    try:
        code = group.main(None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) or callable(code) else CLEAN
    except click.exceptions.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        complain("stopped")
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return CLEAN
    except click.ClickException as error:
        complain(error.format_message().rstrip("."), "steadygrad --help lists the commands")
        return FAILED
    except UserCodeError as error:
        if error.__cause__ is not None:
            show_user_traceback(error.__cause__)
        complain(str(error))
        return FAILED
    except SteadygradError as error:
        complain(str(error))
        return FAILED
    except BrokenPipeError:
        # The reader went away ("| head"); Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except OSError as error:
        # A name that is too long, a link that leads nowhere, a device that fails: of whatever was named.
        named = f": {str(error.filename)[:80]}" if error.filename else ""
        complain(f"cannot read or write the file ({error.strerror or error}{named})")
        return FAILED
    except MemoryError:
        complain("the machine's memory is not enough for this model; try a smaller --input")
        return FAILED
    except RecursionError:
        complain("the model is nested more deeply than Python can follow; check a part of it")
        return FAILED
