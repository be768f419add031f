"""The options that make a subject, shared by the commands that need one, and what they make together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_OPTIONS = (
    click.option("--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="Argument of the class or function."),
    click.option("--input", "inputs", multiple=True, metavar="SHAPE", help="64,3,32,32 or 8,128:long or 8,128:0-50257."),
    click.option("--batch", metavar="FILE.py:FUNCTION", help="Function that returns the batch (x, y)."),
    click.option("--loss", metavar="NAME", help="cross_entropy, MSELoss, or FILE.py:FUNCTION."),
    click.option("--optimizer", metavar="SPEC", help="adamw:3e-4 or sgd:0.1,momentum=0.9."),
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
    from steadygrad.probe.loading import is_file, split
    from steadygrad.settings import load_settings

    place = split(target)[0]
    return load_settings(Path(place).parent if is_file(place) else Path.cwd(), given)


def subject_of(target: str, settings: Any, options: dict[str, Any]) -> Any:
    """What the options and the target make together; an option wins over what the target brought along."""
    from steadygrad.errors import UserCodeError
    from steadygrad.probe.inputs import parse_input
    from steadygrad.probe.loading import load_function
    from steadygrad.probe.placing import loss_named, place_batch, place_model
    from steadygrad.probe.subject import make_subject
    from steadygrad.probe.target import load_target

    inputs = [parse_input(text) for text in options["inputs"]]
    loss_fn = loss_named(options["loss"]) if options["loss"] else None
    make_batch = load_function(options["batch"], "--batch") if options["batch"] else None
    loaded = load_target(target, dict(_pair(text) for text in options["arguments"]), seed=settings.seed)
    model = place_model(loaded.model, settings.device, settings.dtype)
    batch = None if inputs else loaded.batch
    if make_batch is not None:
        try:
            batch = make_batch()
        except Exception as error:
            raise UserCodeError(f"{options['batch']} raised this when it was asked for a batch") from error
    return make_subject(
        model,
        place_batch(batch, settings.device, settings.dtype),
        loss_fn or (None if inputs and loaded.batch is None else loaded.loss_fn),
        optimizer=options["optimizer"] or loaded.optimizer,
        seed=settings.seed,
        inputs=inputs,
        target=loaded.words,
    )


def _pair(text: str) -> tuple[str, str]:
    from steadygrad.errors import SettingsError

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise SettingsError(f"cannot read --arg {text!r}; write it as --arg depth=20")
    return key, value
