"""``steadygrad run``: reads the options, finds the program, and hands both to the launch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from steadygrad.cli import completing
from steadygrad.cli.formats import OF_A_REPORT


class ProgramCommand(click.Command):
    """Options end where the program begins: at the first word that is no option, or at ``-m``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.is_flag]
        ours, program = divide(args, {name for one in options for name in one.opts})
        return super().parse_args(ctx, [*ours, "--", *program])


def divide(words: list[str], taking_values: set[str]) -> tuple[list[str], list[str]]:
    """Our options, and the program with all that is its own."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return words[:at], words[at + 1 :]
        if not word.startswith("-") or word == "-" or (word.startswith("-m") and not word.startswith("--")):
            break
        at += 2 if word in taking_values else 1
    return words[:at], words[at:]


@click.command(
    cls=ProgramCommand,
    name="run",
    short_help="Run a training script, and watch every optimizer it makes.",
    options_metavar="[OPTIONS]",
)
@click.option("--clip", metavar="SPEC", help="Clip before each step: value:-1,1 or norm:1.0.")
@click.option("--on-alarm", metavar="WHAT", help="warn (default), skip, lower, clip, rollback, stop; skip:5/100:stop.")
@click.option("--probe-every", type=int, metavar="N", help="Steps between two full probes (1000); 0 = none.")
@click.option(
    "--overhead", type=float, metavar="SHARE", help="Share of the run's time for probes and exact updates (0.01)."
)
@click.option("--every", type=int, metavar="N", help="Read each N-th step (1: all).")
@click.option("--journal", metavar="PATH", help="Where the run is recorded (a new file in runs/).")
@click.option("--no-journal", is_flag=True, default=None, help="Keep no record.")
@click.option("--notify", metavar="WHERE", help="Send each alarm: to an address as JSON, or to a command's input.")
@click.option("--tracker", metavar="NAME[:PLACE]", help="Show the run live: tensorboard:logs, wandb, mlflow, trackio.")
@click.option("--no-check", "check", flag_value=False, default=None, help="Do not check the first step on a copy.")
@click.option("--only-check", is_flag=True, help="Check the first step on a copy, report as check does, and end there.")
@click.option("--trial", type=int, help="With --only-check: optimizer steps on a copy, as for check.", metavar="STEPS")
@click.option(
    "--fail-on",
    metavar="LEVEL",
    help="With --only-check: error (default), warning or never.",
    shell_complete=completing.fail_on,
)
@click.option(
    "--output-format", metavar="FORMAT", help=f"With --only-check: {OF_A_REPORT}", shell_complete=completing.formats
)
@click.option(
    "--output-file", metavar="PATH", help="With --only-check: write the report there.", shell_complete=completing.files
)
@click.option("--cure", metavar="WHEN", help="at-start: cure before the first step, where numbers alone do it.")
@click.option("--quiet", "-q", is_flag=True, default=None, help="Print findings and alarms only.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="PROGRAM [ARGUMENTS]...")
def command(program: tuple[str, ...], **options: Any) -> Callable[[], int]:
    """Run PROGRAM as `python` would, guard every optimizer that it makes, and report what its gradients did.

    PROGRAM is script.py, -m package.module, or a command on PATH that is a script of Python; what follows it goes to the program.
    Its output, exit code and result are those of a plain run; all lines of steadygrad's go to standard error. Works under
    torchrun: torchrun --no-python steadygrad run train.py.

    With --only-check PROGRAM runs up to its first optimizer step. What it trains there is checked as `check` does it, on a copy
    with PROGRAM's own model, batch, loss, optimizer and clip, and PROGRAM ends without training.

    Exit code: the program's; 1 where the guard stopped it, as --on-alarm asks; 2 where it could not be started. With
    --only-check that of a check: 0 nothing found, 1 findings at the fail level, 2 could not check.
    """
    from steadygrad.act.on_alarm import OnAlarm
    from steadygrad.errors import SettingsError
    from steadygrad.launch.program import find_program
    from steadygrad.settings import load_run_settings

    found = find_program(program)
    ours = {name: options.pop(name) for name in _OF_A_CHECK}
    if options.pop("only_check"):
        return _only_check(found, options, ours)
    if given := [name for name, value in ours.items() if value is not None]:
        raise SettingsError(f"{_option(given[0])} is of a check; give --only-check with it")
    if options["journal"] is not None and options["no_journal"]:
        raise SettingsError("--journal and --no-journal contradict each other; give one")
    settings = load_run_settings(found.folder, options)
    OnAlarm.parse(settings.on_alarm)
    if settings.notify is not None:
        from steadygrad.listen.notify import Notify

        Notify(settings.notify)
    if settings.journal is not None and not settings.no_journal and os.environ.get("RANK", "0") == "0":
        from steadygrad.journal.opening import refuse_unwritable

        refuse_unwritable(Path.cwd() / settings.journal)

    tracker = None
    if settings.tracker is not None:
        from steadygrad.integrations import live

        tracker = live(settings.tracker)

    def run() -> int:
        from steadygrad.launch.start import start

        return start(found, settings, tracker)

    return run


_OF_A_CHECK = ("trial", "fail_on", "output_format", "output_file")
_OF_BOTH = ("clip", "quiet")


def _only_check(found: Any, of_a_run: dict[str, Any], given: dict[str, Any]) -> Callable[[], int]:
    """Return what runs the program up to its first step, and checks that."""
    from steadygrad import rules
    from steadygrad.cli.delivering import Delivery
    from steadygrad.errors import SettingsError
    from steadygrad.settings import load_run_settings, load_settings

    idle = [
        name for name, value in of_a_run.items() if value is not None and value is not False and name not in _OF_BOTH
    ]
    if of_a_run["check"] is False:
        raise SettingsError("--no-check and --only-check contradict each other; give one")
    if idle:
        raise SettingsError(
            f"{_option(idle[0])} does nothing with --only-check, which ends before the training; leave it out"
        )
    output_file = given.pop("output_file")
    checks = load_settings(found.folder, given)
    rules.resolve(checks.selectors)
    settings = load_run_settings(found.folder, {name: of_a_run[name] for name in _OF_BOTH})
    deliver = Delivery(checks, output_file, settings.quiet)
    deliver.require()

    def run() -> int:
        from steadygrad.launch.start import check_first_step

        return check_first_step(found, settings, checks, deliver)

    return run


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
