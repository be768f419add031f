"""From a target's text to a model with whatever came along: batch, loss function, optimizer.

A bare file gives its one candidate. In this order: a function called ``setup``; else all module objects, functions that
build a module (by return annotation, or called build_model, make_net, get_model and the like) and module classes, less
those that another candidate uses or is made of. Several that remain are listed, never guessed at.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import random
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

from steadygrad.errors import SteadygradError, TargetError, UserCodeError
from steadygrad.probe.loading import import_place, named, split
from steadygrad.probe.spans import recording_constructions

_BUILDERS = re.compile(r"(build|make|create|get|load|init)_(\w+_)?(model|net|network|module)|build|model|net|setup")
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


def load_target(text: str, arguments: Mapping[str, str], *, seed: int = 0) -> Loaded:
    """Load what ``text`` means; ``arguments`` are handed to the class or function, which draws its weights from ``seed``.

    Raises ``TargetError`` where there is no one thing to check, ``UserCodeError`` where the user's code raises.
    """
    place, name = split(text)
    if not place:
        raise TargetError("the target is empty; name a file, as in steadygrad check net.py")
    given = {key: _value(value) for key, value in arguments.items()}
    linecache.checkcache()  # A file that was edited since it was last looked at is read anew.
    _seed(seed)
    with recording_constructions():
        module = import_place(place)
        if not name:
            name = _only_candidate(module, place, given)
        value = named(module, name, place)
        return _loaded(_built(value, name, place, given), f"{place}:{name}")


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _built(value: Any, name: str, place: str, given: Mapping[str, Any]) -> Any:
    """The value itself, or what calling it gives."""
    if isinstance(value, (nn.Module, tuple, Mapping)):
        if given:
            raise TargetError(f"{name} in {place} is an object that is built already, so --arg has nothing to go to")
        return value
    if not callable(value):
        raise TargetError(
            f"{name} in {place} is {type(value).__name__}; name a model, its class, or a function that builds it"
        )
    if isinstance(value, type) and not (issubclass(value, nn.Module) or hasattr(value, "training_step")):
        raise TargetError(f"{name} in {place} is a class, but not of torch.nn.Module; name one that is")
    missing, unknown, takes = _arguments(value, given)
    if unknown:
        raise TargetError(f"{name} takes no argument {unknown[0]!r}; it takes {', '.join(takes) or 'none'}")
    if missing:
        example = " ".join(f"--arg {word}=..." for word in missing)
        raise TargetError(
            f"{name} in {place} needs {_listed(missing)}; give {example}, or name a function that builds it"
        )
    try:
        return value(**given)
    except SteadygradError:
        raise
    except Exception as error:
        raise UserCodeError(f"{name} in {place} raised this when it was built; fix it, or give --arg") from error


def _arguments(value: Any, given: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Arguments that are missing, given ones that are not known, and all that are taken."""
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError):
        return [], [], []
    plain = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in plain]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    missing = [p.name for p in plain if p.default is p.empty and p.name not in given]
    return missing, [] if anything else [word for word in given if word not in names], names


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


def _only_candidate(module: ModuleType, place: str, given: Mapping[str, Any]) -> str:
    found = _candidates(module)
    if "setup" in found and isinstance(found["setup"], FunctionType):
        return "setup"
    used = {name for candidate, value in found.items() for name in _uses(value, found) if name != candidate}
    roots = [name for name in found if name not in used] or list(found)
    ready = [name for name in roots if isinstance(found[name], nn.Module) or not _arguments(found[name], given)[0]]
    if len(ready) == 1 or (len(roots) == 1 and not ready):
        return (ready or roots)[0]
    if not found:
        raise TargetError(
            f"no model in {place}: it defines no torch.nn.Module, no object of one, and no function that builds one"
        )
    choices = ready or roots
    raise TargetError(f"several models in {place}: {_listed(choices)}; choose one, as in {place}:{choices[0]}")


def _candidates(module: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        own = getattr(value, "__module__", None) == module.__name__
        if isinstance(value, nn.Module) or (
            own
            and (
                (isinstance(value, type) and issubclass(value, nn.Module))
                or (isinstance(value, FunctionType) and _builds(value))
            )
        ):
            found[name] = value
    return found


def _builds(function: FunctionType) -> bool:
    returns = function.__annotations__.get("return")
    if isinstance(returns, type):
        return issubclass(returns, nn.Module)
    if isinstance(returns, str):
        return returns.split(".")[-1] == "Module"
    return _BUILDERS.fullmatch(function.__name__) is not None


def _uses(value: Any, found: Mapping[str, Any]) -> set[str]:
    """Names of the candidates that a candidate is made of, calls or inherits from."""
    if isinstance(value, nn.Module):
        inside = [*value.modules()]
        kinds = {type(item) for item in inside}
        children = {id(item) for item in inside[1:]}
        return {name for name, other in found.items() if id(other) in children or other in kinds}
    if isinstance(value, FunctionType):
        return _names(value.__code__) & set(found)
    methods = [item for item in vars(value).values() if isinstance(item, FunctionType)]
    bases = {name for name, other in found.items() if other is not value and other in value.__mro__}
    return bases.union(*(_names(method.__code__) & set(found) for method in methods))


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(inner) for inner in _inner(code)))


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
