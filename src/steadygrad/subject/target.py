"""From a target's text to a model with whatever came along: batch, loss function, optimizer.

A bare file gives its one candidate. In this order: a function called ``setup``; else all module objects, functions that
build a module (by return annotation, or called build_model, make_net, get_model and the like) and module classes, less
losses and those that another candidate uses or is made of. Several that remain are listed, never guessed at, unless the
file's own optimizer holds one of them. What a script keeps beside its model, its optimizer, loss and loader, comes along.
"""

from __future__ import annotations

import linecache
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import SteadygradError, TargetError, UserCodeError
from steadygrad.objective import has_training_step
from steadygrad.record import Assumption
from steadygrad.source.spans import recording_constructions
from steadygrad.subject.arguments import arguments_for, missing, taken, unknown
from steadygrad.subject.companions import companions, data_beside
from steadygrad.subject.loading import as_program, import_place, is_script, named, split
from steadygrad.subject.model_candidates import candidates, roots
from steadygrad.subject.named_models import is_named, named_model
from steadygrad.subject.notebook import ENDING, left_out
from steadygrad.subject.transformers_trainer import is_trainer, trainer_parts, trainers_in

_PARTS = ("model", "batch", "loss_fn", "optimizer")
_OTHER_NAMES = {"loss": "loss_fn", "criterion": "loss_fn", "opt": "optimizer", "net": "model", "data": "batch"}


@dataclass(frozen=True)
class Loaded:
    """A model, and what came with it; None = did not."""

    model: nn.Module
    batch: Any
    loss_fn: Any
    optimizer: Any
    words: str
    said: Assumption | None = None
    """The objects found beside the model, in words."""
    clip: str | None = None
    """The clip of the loop that came along, as ``--clip`` takes it."""


def load_target(text: str, arguments: Mapping[str, str], *, seed: int = 0, config: str | None = None) -> Loaded:
    """Load what ``text`` means; ``arguments`` are handed to the class or function, which draws its weights from ``seed``.

    ``config`` is where its configuration is, as ``--config`` takes it.

    Raises ``TargetError`` where there is no one thing to check, ``UserCodeError`` where the user's code raises.
    """
    place, name = split(text)
    if not place:
        raise TargetError("the target is empty; name a file, as in steadygrad check net.py")
    linecache.checkcache()  # A file that was edited since it was last looked at is read again.
    _seed(seed)
    with recording_constructions():
        if is_named(text):
            if config is not None:
                raise TargetError(f"{text} takes no --config; give --arg KEY=VALUE")
            return Loaded(named_model(text, arguments), None, None, None, text)
        module = import_place(place)
        if not name:
            name = _only_candidate(module, place, arguments, config)
        value = named(module, name, place)
        if is_trainer(value):
            parts = trainer_parts(value, name, place)
            return Loaded(
                parts.model, parts.batch, None, parts.optimizer, f"{place}:{name}", said=parts.said, clip=parts.clip
            )
        with as_program(place):
            told: list[str] = []
            loaded = _loaded(_built(value, name, place, arguments, module, told, config), f"{place}:{name}")
            loaded = replace(loaded, said=Assumption("", "; ".join(told), by_default=False) if told else None)
            if not isinstance(value, nn.Module):
                return _with_left_out(loaded, module)
            if has_training_step(value):
                named_so, data = data_beside(module)
                taken_from = Assumption("file", f"from {place}: {named_so}", by_default=False) if named_so else None
                return _with_left_out(replace(loaded, batch=data, said=taken_from), module)
            batch, loss_fn, optimizer, said = companions(module, value).fitting(value, place, seed)
            loaded = replace(loaded, batch=batch, loss_fn=loss_fn, optimizer=optimizer, said=said)
            return _with_left_out(loaded, module)


def _with_left_out(loaded: Loaded, module: ModuleType) -> Loaded:
    """Add to what is said of a notebook the lines of it that did not run."""
    left = left_out(module)
    if not left:
        return loaded
    before = "" if loaded.said is None else f"{loaded.said.words}; "
    about = "file" if loaded.said is None else loaded.said.about
    return replace(loaded, said=Assumption(about, f"{before}{left}", by_default=False))


def _seed(seed: int) -> None:
    seed_torch(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def _built(
    value: Any,
    name: str,
    place: str,
    typed: Mapping[str, str],
    module: ModuleType,
    told: list[str],
    config: str | None,
) -> Any:
    """The value itself, or what calling it gives; ``told`` gets a word on what it was given unasked."""
    if isinstance(value, (nn.Module, tuple, Mapping)):
        if typed or config is not None:
            option = "--arg" if typed else "--config"
            raise TargetError(f"{name} in {place} is an object that is built already, so {option} has nothing to go to")
        return value
    if not callable(value):
        raise TargetError(
            f"{name} in {place} is {type(value).__name__}; name a model, its class, or a function that builds it"
        )
    if isinstance(value, type) and not (issubclass(value, nn.Module) or hasattr(value, "training_step")):
        raise TargetError(f"{name} in {place} is a class, but not of torch.nn.Module; name one that is")
    given = arguments_for(value, name, module, typed, told, config)
    if wrong := unknown(value, given):
        raise TargetError(f"{name} takes no argument {wrong[0]!r}; it takes {', '.join(taken(value)) or 'none'}")
    if needed := missing(value, given, module):
        example = " ".join(f"--arg {word}=..." for word in needed)
        raise TargetError(
            f"{name} in {place} needs {_listed(needed)}; give {example}, or name a function that builds it"
            + (f"; as the script builds it: steadygrad run --only-check {place} [ARGS]" if is_script(place) else "")
        )
    try:
        return value(**given)
    except SteadygradError:
        raise
    except Exception as error:
        raise UserCodeError(f"{name} in {place} raised this when it was built; fix it, or give --arg") from error


def _loaded(made: Any, words: str) -> Loaded:
    parts: dict[str, Any] = dict.fromkeys(_PARTS)
    if isinstance(made, Mapping):
        for key, value in made.items():
            name = _OTHER_NAMES.get(key, key)
            if name not in parts:
                raise TargetError(f"{words} gives a dict with {key!r}; its keys may be {', '.join(_PARTS)}")
            parts[name] = value
    elif isinstance(made, (tuple, list)):
        if not 1 <= len(made) <= len(_PARTS):
            raise TargetError(f"{words} gives {len(made)} things; give (model, batch, loss_fn, optimizer) or fewer")
        parts.update(zip(_PARTS, made, strict=False))
    else:
        parts["model"] = made
    model = parts["model"]
    if not isinstance(model, nn.Module):
        raise TargetError(
            f"{words} gives {type(model).__name__}, expected a torch.nn.Module or (model, batch, loss_fn, optimizer)"
        )
    return Loaded(words=words, **parts)


def _only_candidate(module: ModuleType, place: str, typed: Mapping[str, str], config: str | None) -> str:
    found = candidates(module)
    if "setup" in found and isinstance(found["setup"], FunctionType):
        return "setup"
    trainers = trainers_in(module)
    if len(trainers) == 1:
        return trainers[0]
    remaining = roots(found)
    objects = [name for name in remaining if isinstance(found[name], nn.Module)]
    trained = [name for name in objects if companions(module, found[name]).optimizer is not None]
    if len(trained) == 1:
        return trained[0]
    given = {key.partition(".")[0]: None for key in typed}
    ready = [name for name in remaining if name in objects or not missing(found[name], given, module)]
    classes = [name for name in remaining if name not in objects]
    if config is not None and len(classes) == 1:
        return classes[0]
    if len(ready) == 1 or (len(remaining) == 1 and not ready):
        return (ready or remaining)[0]
    run = f"steadygrad run --only-check {place}"
    if not found:
        raise TargetError(
            f"no model in {place}: the script makes it when it runs, inside of main; next: {run} [ARGS]"
            if is_script(place)
            else f"no model in {place}: it defines no torch.nn.Module, no object of one, and no function that builds one"
        )
    choices = ready or remaining
    watch = "" if place.endswith(ENDING) else f", or check the one that a script trains with {run}"
    raise TargetError(f"several models in {place}: {_listed(choices)}; choose one, as in {place}:{choices[0]}{watch}")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
