"""The options that make a subject, shared by the commands that need one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from steadygrad.cli import completing

_OPTIONS = (
    click.option(
        "--arg",
        "arguments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Argument of the class or function: depth=20, config.depth=20, config=Config(depth=20).",
    ),
    click.option(
        "--config",
        metavar="FILE",
        help="Its configuration: conf.yaml, conf.json or FILE.py:NAME.",
        shell_complete=completing.files,
    ),
    click.option(
        "--input", "inputs", multiple=True, metavar="SHAPE", help="64,3,32,32 or 8,128:long or 8,128:0-50257."
    ),
    click.option(
        "--batch", metavar="FILE.py:NAME", help="A batch (x, y), a DataLoader, or a function that gives either."
    ),
    click.option("--loss", metavar="NAME", help="cross_entropy, MSELoss, or FILE.py:FUNCTION."),
    click.option(
        "--optimizer", metavar="SPEC", help="adamw:3e-4 or sgd:0.1,momentum=0.9.", shell_complete=completing.optimizers
    ),
    click.option("--clip", metavar="SPEC", help="Clip that the loop has before each step: norm:1.0 or value:-1,1."),
    click.option("--device", metavar="DEVICE", help="cpu, cuda, mps."),
    click.option("--dtype", metavar="DTYPE", help="float32, bfloat16, float64."),
    click.option("--seed", type=int, help="Seed of whatever is drawn (0)."),
)


def subject_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with ``--arg`` to ``--seed``, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_for(target: str, given: dict[str, Any]) -> Any:
    """Settings from the pyproject.toml nearest to the target, and the options given."""
    from steadygrad.subject.settings_for import settings_for as found

    return found(target, given)


def subject_of(target: str, settings: Any, options: dict[str, Any]) -> Any:
    """Make the subject from the options and the target."""
    from steadygrad.subject.from_options import subject_of as made

    return made(target, asked(settings, options))


def asked(settings: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options that a subject is made from, as plain values."""
    from steadygrad.subject.from_options import plain_options

    given = {name: options[name] for name in ("arguments", "config", "inputs", "batch", "loss", "optimizer", "clip")}
    return plain_options(**given, device=settings.device, dtype=settings.dtype, seed=settings.seed)
