"""From a target's text and plain options to a subject: what every command, and a fresh process that proves a fix, begin with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from steadygrad.clip.hook import hook_for
from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import BatchError, SettingsError, SteadygradError, UserCodeError
from steadygrad.subject.batches import takes_a_step
from steadygrad.subject.device_and_dtype import loss_named, place_batch, place_model
from steadygrad.subject.inputs import parse_input
from steadygrad.subject.loading import load_function, load_object
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.subject.target import load_target


def plain_options(
    *,
    arguments: Iterable[str] = (),
    config: str | None = None,
    inputs: Iterable[str] = (),
    batch: str | None = None,
    loss: str | None = None,
    optimizer: str | None = None,
    clip: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The arguments of ``subject_of`` in the command line's form: values that a fresh process can take as JSON."""
    return {
        "arguments": list(arguments),
        "config": config,
        "inputs": list(inputs),
        "batch": batch,
        "loss": loss,
        "optimizer": optimizer,
        "clip": clip,
        "device": device,
        "dtype": dtype,
        "seed": seed,
    }


def subject_of(target: str, options: Mapping[str, Any]) -> Subject:
    """Make the subject from the ``plain_options`` and the target; an option wins over what the target brought along."""
    inputs = [parse_input(text) for text in options["inputs"]]
    loss_fn = loss_named(options["loss"]) if options["loss"] else None
    own_batch = load_object(options["batch"], "--batch") if options["batch"] else None
    arguments = dict(_pair(text) for text in options["arguments"])
    loaded = load_target(target, arguments, seed=options["seed"], config=options["config"])
    model = place_model(loaded.model, options["device"], options["dtype"])
    batch = None if inputs else loaded.batch
    if own_batch is not None:
        batch = own_batch
        if callable(own_batch) and not takes_a_step(own_batch):
            try:
                batch = own_batch()
            except Exception as error:
                raise UserCodeError(f"{options['batch']} raised this when it was asked for a batch") from error
    subject = make_subject(
        model,
        place_batch(batch, options["device"], options["dtype"]),
        loss_fn or (None if inputs and loaded.batch is None else loaded.loss_fn),
        optimizer=options["optimizer"] or loaded.optimizer,
        seed=options["seed"],
        inputs=inputs,
        target=loaded.words,
        before_step=hook_for(options["clip"] or loaded.clip),
        said=loaded.said,
    )
    return replace(subject, typed=(target, *_typed(options)))


_TYPED = {"arguments": "--arg", "inputs": "--input"}


def _typed(options: Mapping[str, Any]) -> Iterator[str]:
    """The options as they are typed, those that have a value."""
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one:
                yield from (_TYPED.get(name, f"--{name}"), str(one))


def batches_of(text: str, options: Mapping[str, Any]) -> Iterable[Any]:
    """Return the batches of the function named by ``--batches``, each on the device and in the dtype asked for."""
    function = load_function(text, "--batches")
    seed_torch(options["seed"])
    try:
        batches = function()
    except SteadygradError:
        raise
    except Exception as error:
        raise UserCodeError(f"{text} raised this when it was asked for batches") from error
    except SystemExit as error:
        raise BatchError(f"{text} ends the program (exit {error.code}); let it return batches") from None
    if not isinstance(batches, Iterable):
        raise BatchError(f"{text} gives {type(batches).__name__}; expected a list of batches or a DataLoader")
    return (place_batch(batch, options["device"], options["dtype"]) for batch in batches)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in key.split(".")) or key.count(".") > 1:
        raise SettingsError(f"cannot read --arg {text!r}; write it as --arg depth=20 or --arg config.depth=20")
    return key, value
